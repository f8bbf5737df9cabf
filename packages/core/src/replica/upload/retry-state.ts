import { hasCode } from '../../util/error.ts';
import type { Logger } from '../../util/logger.ts';

const BACKOFF_MAX_MS = 5 * 60_000;
const LOG_INTERVAL_MS = 30_000;

/** Counts failures in a row: how long to wait before the next attempt, and whether to log this one. */
export class RetryState {
  readonly #logger: Logger;
  readonly #firstDelayMs: number;
  #count = 0;
  #delayMs = 0;
  #loggedAtMs = -Infinity;

  constructor(logger: Logger, firstDelayMs: number) {
    this.#logger = logger;
    this.#firstDelayMs = firstDelayMs;
  }

  /** `nowMs` never goes back. Doubles from the first delay to five minutes; logs at most once in 30 s. Returns the delay. */
  failed(error: unknown, nowMs: number): number {
    this.#count++;
    this.#delayMs = this.#delayMs === 0 ? this.#firstDelayMs : Math.min(this.#delayMs * 2, BACKOFF_MAX_MS);
    // A conflict is reported once, when it is found, because it lasts. The same is true of a lost lease.
    const isReported = hasCode(error, 'REPLICA_CONFLICT') || hasCode(error, 'LEASE_LOST');
    if (nowMs - this.#loggedAtMs >= LOG_INTERVAL_MS && !isReported) {
      this.#loggedAtMs = nowMs;
      this.#logger.error('monitor error', { error, consecutive_errors: this.#count, backoff: this.#delayMs });
    }
    return this.#delayMs;
  }

  succeeded(): void {
    if (this.#count > 0) this.#logger.info('replica sync recovered', { previous_errors: this.#count });
    this.#count = 0;
    this.#delayMs = 0;
  }

  /** Failures since the last success. */
  get count(): number {
    return this.#count;
  }
}
