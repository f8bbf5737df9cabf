/** One call of `PRAGMA wal_checkpoint`, on any thread. */
import { isBusy } from '../driver/busy.ts';
import type { SqliteConnection } from '../driver/sqlite-driver.ts';

export type CheckpointMode = 'PASSIVE' | 'TRUNCATE';

/** The row that `PRAGMA wal_checkpoint` returns. */
export interface CheckpointResult {
  /** A lock prevented the checkpoint from finishing. */
  readonly busy: boolean;
  /** Frames in the WAL; -1: unknown. */
  readonly log: number;
  /** How many of them are in the database file. */
  readonly checkpointed: number;
  /** Time in SQLite, and in the fsync of the database file after it. */
  readonly durationMs: number;
}

/** A lock prevented the checkpoint from starting. */
export const BUSY: CheckpointResult = { busy: true, log: -1, checkpointed: -1, durationMs: 0 };

/** One attempt. Reports a lock as `busy`, never as an error. */
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
 * A power cut may lose what this connection writes, so it does not wait for the disk. NORMAL still makes the WAL
 * durable where that protects the database: before a checkpoint, and when the WAL restarts.
 */
export function setUpWriter(connection: SqliteConnection): void {
  connection.get('PRAGMA wal_autocheckpoint = 0');
  connection.exec('PRAGMA synchronous = NORMAL');
}
