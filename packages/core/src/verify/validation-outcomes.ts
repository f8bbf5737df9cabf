/** Results of the checks of a replica, by level, for metrics. */
import type { Clock } from '../util/clock.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';
import type { ValidationReport } from './validation.ts';

export interface ValidationOutcome {
  readonly success: number;
  /** Checks that found a fault. */
  readonly invalid: number;
  /** Checks that could not be carried out. */
  readonly error: number;
  readonly lastSucceeded: boolean;
  readonly lastSuccessAt: Date | undefined;
}

const NONE: ValidationOutcome = { success: 0, invalid: 0, error: 0, lastSucceeded: false, lastSuccessAt: undefined };

export class ValidationOutcomes {
  readonly #levels: readonly number[];
  readonly #clock: Clock;
  readonly #outcomes = new Map<number, ValidationOutcome>();

  /** @param levels Those above level 0. */
  constructor(levels: readonly { readonly level: number }[], clock: Clock) {
    this.#levels = [0, ...levels.map(({ level }) => level), SNAPSHOT_LEVEL];
    this.#clock = clock;
  }

  /** Empty before the first check. */
  get byLevel(): ReadonlyMap<number, ValidationOutcome> {
    return this.#outcomes;
  }

  /** Counts a check by its report; undefined: the check could not be carried out. */
  add(report: ValidationReport | undefined): void {
    const invalid = new Set(report?.faults.map(({ level }) => level));
    for (const level of new Set([...this.#levels, ...invalid])) {
      const before = this.#outcomes.get(level) ?? NONE;
      const result = report === undefined ? 'error' : invalid.has(level) ? 'invalid' : 'success';
      const lastSucceeded = result === 'success';
      this.#outcomes.set(level, {
        ...before,
        [result]: before[result] + 1,
        lastSucceeded,
        lastSuccessAt: lastSucceeded ? new Date(this.#clock.now()) : before.lastSuccessAt,
      });
    }
  }
}
