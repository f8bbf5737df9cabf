import type { Successor } from './compare-with-log.ts';
import type { WalHeader, WalSums } from '../wal/wal-header.ts';
import { WAL_HEADER_SIZE, sameSalts } from '../wal/wal-header.ts';

/** What is known of the place where the last level-0 file ended. */
export interface LastPlace {
  /** walOffset + walSize of its header. */
  readonly endOffset: number;
  readonly salt1: number;
  readonly salt2: number;
  readonly pageSize: number;
}

/** Everything the decision rests on. */
export interface SyncState {
  /** The last level-0 file; undefined before the first. */
  readonly last: LastPlace | undefined;
  /** A reason that a snapshot is due whatever the log says: the baseline is missing, or corrupt, or not ours. */
  readonly snapshotDue: string | undefined;
  readonly wal: WalHeader;
  /** Bytes of the WAL file. */
  readonly walFileSize: number;
  /** Page size of the database as SQLite reports it. */
  readonly pageSize: number;
  /**
   * The cumulative checksum at `last.endOffset`, if the frame that ends there is proven to be the one that the last file
   * ended with: read by this process, or compared with the file.
   */
  readonly endSums: WalSums | undefined;
  /**
   * Has this process read the log to its end since it took the read transaction that it holds? From then on the log can
   * restart only where we stopped: a pin on a frame forbids it, and a pin on a fully backfilled log (slot 0) lets nobody
   * backfill what comes after. A pin that moved on (`movePin`) counts as the same one.
   */
  readonly caughtUp: boolean;
  /** Is it proven that SQLite counts the last transaction that was read? If not, a new log may go on before it. */
  readonly lastIsCounted: boolean;
  /** The generation that is proven to follow that of the last file, and what of the latter is still to be read. */
  readonly successor: Successor | undefined;
  /** Are there frames of the last file's generation left in the WAL file behind the new ones? */
  readonly staleFrames: boolean;
}

/** Go on from an offset, or take every page. */
export type SyncDecision =
  | {
      readonly kind: 'increment';
      readonly offset: number;
      readonly sums: WalSums;
      /** The frames are what is left of the last file's generation behind those of its successor. */
      readonly ofPreviousGeneration: boolean;
    }
  | { readonly kind: 'snapshot'; readonly reason: string };

/** The one place that says whether the log continues what the last level-0 file holds. */
export function decide(state: SyncState): SyncDecision {
  const { last, wal } = state;
  if (state.snapshotDue !== undefined) return snapshot(state.snapshotDue);
  if (last === undefined) return snapshot('first sync');
  if (last.pageSize !== state.pageSize || wal.pageSize !== state.pageSize) return snapshot('page size changed');
  if (sameSalts(last, wal)) {
    if (last.endOffset > state.walFileSize) return snapshot('wal truncated by another process');
    if (last.endOffset === WAL_HEADER_SIZE) return increment(WAL_HEADER_SIZE, wal);
    if (state.endSums !== undefined) return increment(last.endOffset, state.endSums);
    return snapshot('last page does not exist in last ltx file, wal overwritten by another process');
  }
  const { successor } = state;
  if (successor !== undefined && sameSalts(successor, wal)) {
    return successor.tailUnread ? increment(last.endOffset, successor.endSums, true) : increment(WAL_HEADER_SIZE, wal);
  }
  if (!state.caughtUp) return snapshot('wal header salt reset, snapshotting');
  if (!state.lastIsCounted) return snapshot('wal restarted behind a commit that may not count, snapshotting');
  // Each restart adds one. More than one without a frame between them is what repeated TRUNCATE checkpoints of an idle
  // database leave, and these leave no old frames; anything else means that the pin did not hold.
  if (wal.salt1 === (last.salt1 + 1) >>> 0 || !state.staleFrames) return increment(WAL_HEADER_SIZE, wal);
  return snapshot('wal restarted more than once, snapshotting');
}

function increment(offset: number, sums: WalSums, ofPreviousGeneration = false): SyncDecision {
  return { kind: 'increment', offset, sums: { s0: sums.s0, s1: sums.s1 }, ofPreviousGeneration };
}

function snapshot(reason: string): SyncDecision {
  return { kind: 'snapshot', reason };
}
