/** One call of `PRAGMA wal_checkpoint`, on whichever thread. */
import { isBusy } from '../driver/busy.ts';
import type { SqliteConnection } from '../driver/sqlite-driver.ts';

export type CheckpointMode = 'PASSIVE' | 'TRUNCATE';

/** The row that `PRAGMA wal_checkpoint` gives. */
export interface CheckpointResult {
  /** A lock kept it from finishing. */
  readonly busy: boolean;
  /** Frames in the log; -1 unknown. */
  readonly log: number;
  /** Frames of them that are in the database file. */
  readonly checkpointed: number;
  /** How long SQLite took. */
  readonly durationMs: number;
}

/** A lock kept it from starting. */
export const BUSY: CheckpointResult = { busy: true, log: -1, checkpointed: -1, durationMs: 0 };

/** One attempt. A lock in the way is told by `busy`, never thrown. */
export function runCheckpoint(connection: SqliteConnection, mode: CheckpointMode): CheckpointResult {
  const startedAtMs = performance.now();
  try {
    const row = connection.get(`PRAGMA wal_checkpoint(${mode})`);
    return {
      busy: Number(row?.['busy'] ?? 1) !== 0,
      log: Number(row?.['log'] ?? -1),
      checkpointed: Number(row?.['checkpointed'] ?? -1),
      durationMs: performance.now() - startedAtMs,
    };
  } catch (error) {
    if (!isBusy(error)) throw error;
    return BUSY;
  }
}

/**
 * What we write is nothing that anybody would miss after a power cut, so it does not wait for the disk. NORMAL still makes
 * the log durable where that protects the database: before a checkpoint, and when the log begins anew.
 */
export function setUpWriter(connection: SqliteConnection): void {
  connection.get('PRAGMA wal_autocheckpoint = 0');
  connection.exec('PRAGMA synchronous = NORMAL');
}
