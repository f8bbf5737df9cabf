/** Decides whether the lease of another process may be taken over, by how long it did not change, because clocks differ. */
import type { Clock } from '../util/clock.ts';
import { LEASE_TTL_MS } from './record.ts';
import type { Lease } from './record.ts';

/** `free`: no process holds it. `expired`: its holder did not renew it in time. */
export type Verdict = 'free' | 'expired' | 'held';

/** After this many times its term, a lease is expired even if the wall clock says otherwise: one of the clocks is wrong. */
const TERMS_MAX = 2;

export class LeaseObserver {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  #key: string | undefined;
  /** By the monotonic clock. */
  #sinceMs = 0;

  /** `ttlMs`: the term of a lease that does not state its own, at least 30 s. */
  constructor(clock: Clock, ttlMs: number) {
    this.#clock = clock;
    this.#ttlMs = Math.max(ttlMs, LEASE_TTL_MS);
  }

  /**
   * Judges the lease that was just read. A lease counts as unchanged from the first time that it was read, so a lease
   * that its holder renews is never judged as expired, regardless of wall clocks.
   */
  judge(seen: Lease | undefined): Verdict {
    if (seen === undefined || seen.releasedAt !== undefined) return 'free';
    const nowMs = this.#clock.monotonic();
    const key = JSON.stringify([seen.version, seen.session, seen.generation, seen.expiresAt]);
    if (key !== this.#key) {
      this.#key = key;
      this.#sinceMs = nowMs;
    }
    const unchangedMs = nowMs - this.#sinceMs;
    if (unchangedMs < (seen.ttlMs ?? this.#ttlMs)) return 'held';
    if (this.#clock.now() >= seen.expiresAt.getTime()) return 'expired';
    return seen.ttlMs !== undefined && unchangedMs >= seen.ttlMs * TERMS_MAX ? 'expired' : 'held';
  }
}
