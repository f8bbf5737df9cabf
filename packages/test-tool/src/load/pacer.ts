import { rateShare } from './pattern.ts';
import type { Pattern } from './pattern.ts';

/** The share of the rate changes once in each slot of this length, so that `random` has visible steps. */
const SLOT_MS = 100;
/** A worker that lags by more than this does not catch up: a load is a rate, not a total. */
const BACKLOG_MS_MAX = 1000;
const WAIT_MS_MAX = 50;

/** Computes how many operations are due, for a rate with a pattern. */
export class Pacer {
  readonly #perMs: number;
  readonly #pattern: Pattern;
  readonly #random: () => number;
  #reachedMs = 0;
  #share = 0;
  #due = 0;

  /** @param rate operations per second at the full rate of the pattern, above 0 */
  constructor(rate: number, pattern: Pattern, random: () => number = Math.random) {
    this.#perMs = rate / 1000;
    this.#pattern = pattern;
    this.#random = random;
  }

  /** Whole operations due by now. */
  due(elapsedMs: number): number {
    while (this.#reachedMs < elapsedMs) {
      const intoSlotMs = this.#reachedMs % SLOT_MS;
      if (intoSlotMs === 0) this.#share = rateShare(this.#pattern, this.#reachedMs, this.#random);
      const slotEndMs = this.#reachedMs - intoSlotMs + SLOT_MS;
      const untilMs = Math.min(slotEndMs, elapsedMs);
      this.#due += (untilMs - this.#reachedMs) * this.#perMs * this.#share;
      this.#reachedMs = untilMs;
    }
    this.#due = Math.min(this.#due, Math.max(1, this.#perMs * BACKLOG_MS_MAX));
    return Math.floor(this.#due);
  }

  done(count: number): void {
    this.#due -= count;
  }

  /** Milliseconds to sleep before the next call of `due`. */
  get waitMs(): number {
    return Math.min(WAIT_MS_MAX, Math.max(1, (1 - this.#due) / this.#perMs));
  }
}
