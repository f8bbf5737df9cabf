/** What a database is doing, or did last, to diagnose replication that does not progress. */
export interface DbActivity {
  readonly active: boolean;
  readonly operation: 'sync' | 'checkpoint' | 'snapshot';
  /** The step that began last. Names are those of Litestream (Go). */
  readonly phase: 'starting' | 'verify_and_sync' | 'checkpoint_if_needed' | 'update_metrics';
  readonly startedAt: Date;
  readonly updatedAt: Date;
  /** The error of the operation, if it failed. */
  readonly error: unknown;
}

/** Keeps the activity of one database. */
export class CurrentWork {
  readonly #nowMs: () => number;
  #last: DbActivity | undefined;

  /** `nowMs`: milliseconds since the epoch. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get last(): DbActivity | undefined {
    return this.#last;
  }

  begin(operation: DbActivity['operation']): void {
    const now = new Date(this.#nowMs());
    this.#last = { active: true, operation, phase: 'starting', startedAt: now, updatedAt: now, error: undefined };
  }

  enter(phase: DbActivity['phase']): void {
    if (this.#last !== undefined) this.#last = { ...this.#last, phase, updatedAt: new Date(this.#nowMs()) };
  }

  end(error?: unknown): void {
    if (this.#last === undefined) return;
    this.#last = { ...this.#last, active: false, error, updatedAt: new Date(this.#nowMs()) };
  }
}
