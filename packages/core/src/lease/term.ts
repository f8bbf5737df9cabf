/** The times of a lease: how long this process may use it, and how long a request about it may take. */
import type { Clock } from '../util/clock.ts';
import { LitestreamError } from '../util/error.ts';
import { instantOf } from '../replica/position/instant.ts';
import type { Instant } from '../replica/position/instant.ts';

const TTL_MS_MIN = 1000;
/**
 * Part of the term, at its end, in which nothing is written. It gives time to abort requests, and allows for clocks with
 * different speeds.
 */
const MARGIN = 1 / 5;
const RENEW_AFTER = 1 / 3;
const RETRY_AFTER = 1 / 10;

export class LeaseTerm {
  readonly ttlMs: number;
  readonly #clock: Clock;

  /** Throws `INVALID_ARGUMENT` for a term that is too short or too long. */
  constructor(clock: Clock, ttlMs: number) {
    if (!(ttlMs >= TTL_MS_MIN && ttlMs < 2 ** 31)) {
      const message = `the term of a lease must be at least ${TTL_MS_MIN} ms: ${ttlMs}`;
      throw new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'acquire' });
    }
    this.#clock = clock;
    this.ttlMs = ttlMs;
  }

  /** How long this process may write after it sent a renewal. */
  get usableMs(): number {
    return this.ttlMs * (1 - MARGIN);
  }

  /** How long after it was sent a renewal is followed by the next one. */
  get renewAfterMs(): number {
    return this.ttlMs * RENEW_AFTER;
  }

  /** How long after a failure a renewal is tried again. */
  get retryAfterMs(): number {
    return this.ttlMs * RETRY_AFTER;
  }

  /** Time since then, by both clocks. */
  elapsedMs(since: Instant): Instant {
    const { monotonic, now } = instantOf(this.#clock);
    return { monotonic: monotonic - since.monotonic, now: now - since.now };
  }

  /** May this process write, by the monotonic clock, with a lease that was written at `sentAt` or later? */
  isUsable(sentAt: Instant): boolean {
    return this.elapsedMs(sentAt).monotonic < this.usableMs;
  }

  /** The same by both clocks: the monotonic clock may have stopped, for example while the machine was suspended. */
  isCertain(sentAt: Instant): boolean {
    const { monotonic, now } = this.elapsedMs(sentAt);
    return monotonic < this.usableMs && now < this.usableMs;
  }

  /**
   * Runs a request, and aborts it when it takes longer than would leave time for another, or longer than `limitMsMin` if that
   * is more.
   */
  async within<T>(
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
    limitMsMin = 0,
  ): Promise<T> {
    const limit = new AbortController();
    const cancel = this.#clock.schedule(Math.max(this.renewAfterMs, limitMsMin), () => {
      limit.abort(new LitestreamError('no answer about the lease in time', { code: 'TIMEOUT', retryable: true }));
    });
    try {
      return await work(signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]));
    } finally {
      cancel();
    }
  }
}
