/**
 * Has anything but SQLite written to the database file? While a database is in WAL mode, its file changes only when a
 * checkpoint copies frames into it, and each checkpoint records that in the wal-index first (`nBackfillAttempted` in
 * `walCheckpoint`, SQLite's `wal.c`).
 */
import { fstatSync } from 'node:fs';
import type { VisibleWal } from '../wal/wal-index.ts';
import { readVisibleWal } from '../wal/wal-index.ts';
import { sameSalts } from '../wal/wal-header.ts';

/** Size and time of a database file, taken while no checkpoint was writing to it. */
export interface DatabaseMark {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly visible: VisibleWal;
}

/** Undefined while a checkpoint is copying frames, or may be. */
export function markDatabase(databaseFd: number, indexFd: number): DatabaseMark | undefined {
  const before = readVisibleWal(indexFd);
  const { size, mtimeNs } = fstatSync(databaseFd, { bigint: true });
  const after = readVisibleWal(indexFd);
  if (before === undefined || after === undefined) return undefined;
  if (before.backfillAttempted !== before.backfilled || !isSameBackfill(before, after)) return undefined;
  return { size, mtimeNs, visible: after };
}

/**
 * Do two marks show a change of the file that no checkpoint made? `isHeld`: our read transaction was on the database
 * file alone all the time, so no other program's checkpoint could copy anything to it.
 */
export function isChangedOutsideSqlite(before: DatabaseMark, after: DatabaseMark, isHeld: boolean): boolean {
  if (!isHeld && !isSameBackfill(before.visible, after.visible)) return false;
  return before.size !== after.size || before.mtimeNs !== after.mtimeNs;
}

/** Is the same number of frames of the same WAL in the file? */
export function isSameBackfill(a: VisibleWal, b: VisibleWal): boolean {
  return sameSalts(a, b) && a.backfilled === b.backfilled && a.backfillAttempted === b.backfillAttempted;
}
