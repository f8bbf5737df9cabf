import type { PageProof } from '../../ledger/ledger.ts';
import type { DbActivity } from './current-work.ts';
import type { CheckpointMode, CheckpointResult } from '../../sqlite/checkpoint/checkpoint-call.ts';
import type { LockHolder } from '../../files/held-locks.ts';
import type { Position } from '../session/options.ts';
import type { DbTotals } from './work-totals.ts';

/** The state of a database, for status pages and tests. */
export interface DbStatus {
  /** `closed`, `waiting` (no database file yet, or one that is not ready), `standby` (another Litestream replicates the database), or `open`. */
  readonly state: 'closed' | 'waiting' | 'standby' | 'open';
  /** The other Litestream, in `standby`, as far as it is known. */
  readonly holder?: LockHolder | undefined;
  /** Why the existing file is not opened yet: "it is empty", …; undefined if there is no file, or if it is open. */
  readonly waitingFor: string | undefined;
  readonly position: Position;
  readonly pageSize: number | undefined;
  /** Bytes of the WAL in use, as of the last sync. */
  readonly walSize: number;
  readonly lastSyncAt: Date | undefined;
  /** When everything committed was last known to be in the local files: synced, or looked at and found unchanged. */
  readonly lastLookAt: Date | undefined;
  readonly lastError: unknown;
  /** When all pages were last compared with what was replicated; undefined if this process has not done so yet. */
  readonly proof: PageProof | undefined;
  /** All pages must be compared: a start could not prove the whole database file, or there is no page ledger. */
  readonly isComparisonDue: boolean;
  /** Undefined before the first sync. */
  readonly activity: DbActivity | undefined;
  readonly totals: DbTotals;
}

/** A checkpoint as SQLite reports it. */
export interface Checkpoint extends CheckpointResult {
  readonly mode: CheckpointMode;
}

export function stateOf(isOpened: boolean, isInUse: boolean, hasSession: boolean): DbStatus['state'] {
  if (!isOpened) return 'closed';
  if (isInUse) return 'standby';
  return hasSession ? 'open' : 'waiting';
}
