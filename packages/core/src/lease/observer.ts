/** May the lease of another process be taken over? Judged by how long it stayed unchanged, since clocks differ. */
import type { Clock } from '../clock.ts';
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

  /** `ttlMs`: the term of a lease that does not say what its own is, 30 s at least. */
  constructor(clock: Clock, ttlMs: number) {
    this.#clock = clock;
    this.#ttlMs = Math.max(ttlMs, LEASE_TTL_MS);
  }

  /**
   * Judges what was just read. A lease counts as unchanged from the first time that it was seen, so a holder that renews
   * is never taken for one that does not, whatever the wall clocks say.
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
