import type { CheckpointMode } from '../../sqlite/checkpoint/checkpoint-call.ts';

/** Totals of one kind of work: how often it ran, how often it failed, and the time it took. */
export interface WorkTotals {
  readonly count: number;
  readonly errors: number;
  readonly durationMs: number;
}

/** The work of a `DB` object since it was created, for metrics. */
export interface DbTotals {
  readonly sync: WorkTotals;
  /** By mode; modes that never ran are missing. */
  readonly checkpoints: Readonly<Partial<Record<CheckpointMode, WorkTotals>>>;
  /** Bytes of the WAL that were written to level-0 files. */
  readonly walBytes: number;
}

const NONE: WorkTotals = { count: 0, errors: 0, durationMs: 0 };

/** Counts the work of one database. */
export class WorkCounter {
  #totals: DbTotals = { sync: NONE, checkpoints: {}, walBytes: 0 };

  get totals(): DbTotals {
    return this.#totals;
  }

  addSync(durationMs: number, failed: boolean): void {
    this.#totals = { ...this.#totals, sync: added(this.#totals.sync, durationMs, failed) };
  }

  addCheckpoint(mode: CheckpointMode, durationMs: number, failed: boolean): void {
    const checkpoints = { ...this.#totals.checkpoints };
    checkpoints[mode] = added(checkpoints[mode] ?? NONE, durationMs, failed);
    this.#totals = { ...this.#totals, checkpoints };
  }

  addWalBytes(bytes: number): void {
    this.#totals = { ...this.#totals, walBytes: this.#totals.walBytes + bytes };
  }
}

function added(totals: WorkTotals, durationMs: number, failed: boolean): WorkTotals {
  return {
    count: totals.count + 1,
    errors: totals.errors + (failed ? 1 : 0),
    durationMs: totals.durationMs + durationMs,
  };
}
