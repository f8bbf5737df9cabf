/**
 * Moves our read transaction (the pin) along with the WAL.
 *
 * Its position decides what other connections can do. At a frame: they can move the frames up to it into the database
 * file, and the WAL cannot restart. On the database file alone, after a checkpoint (slot 0): the WAL may restart, but
 * no connection can checkpoint; an application's automatic checkpoint sorts the whole WAL before it finds that out, at
 * each commit.
 */
import { visibleEndOf } from './next-sync.ts';
import { isAtPath } from '../../sqlite/database-file/descriptor.ts';
import type { ResolvedDbOptions } from './options.ts';
import type { Session } from './session.ts';
import { findPathFault } from './session-faults.ts';
import { mayMovePin } from './wal-state.ts';
import {
  FRAME_SALTS_OFFSET,
  HEADER_SALTS_OFFSET,
  WAL_HEADER_SIZE,
  sameSalts,
  walSizeOf,
} from '../../sqlite/wal/wal-header.ts';

/** Bytes of unread WAL that do not wait for the next sync interval. */
const LONG_WAL_SIZE = 32 << 20;

/** A shorter WAL does no harm, and a database with few writes should not cost two more descriptors. */
const SHORT_WAL_PAGE_N = 16;

/** Call after a sync that found commits: other connections may now move the frames that we have read. */
export function movePinAfterSync(session: Session): void {
  if (session.isBackfilled) return;
  if ((session.last?.endOffset ?? 0) < walSizeOf(session.pageSize, SHORT_WAL_PAGE_N)) return;
  movePin(session);
}

/** Between two syncs: moves the pin once the WAL has restarted, or has grown, after a checkpoint of ours. */
function movePinAfterCheckpoint(session: Session): void {
  if (!session.isBackfilled || !hasFramesAfter(session, 0)) return;
  movePin(session);
}

/** Runs between two syncs. True if so much was written that the next one should not wait. */
export function tend(session: Session, options: ResolvedDbOptions): boolean {
  if (!isAtPath(session.descriptor, session.path)) return false;
  if (findPathFault(session) !== undefined) return true;
  movePinAfterCheckpoint(session);
  return isWalLong(session, options);
}

/** Is there so much in the WAL that it should be synced, and checkpointed, before the interval is over? */
function isWalLong(session: Session, options: ResolvedDbOptions): boolean {
  const size = Math.min(LONG_WAL_SIZE, options.maxSyncWalBytes > 0 ? options.maxSyncWalBytes / 2 : LONG_WAL_SIZE);
  return hasFramesAfter(session, size);
}

/** Is there more in the WAL than fits into one file? Writers must not wait behind a barrier while all of it is read. */
export function isWalFarAhead(session: Session, { maxSyncWalBytes }: ResolvedDbOptions): boolean {
  return maxSyncWalBytes > 0 && hasFramesAfter(session, maxSyncWalBytes);
}

/** Moves the pin to the end of the WAL. False where it may not, or could not, move. */
export function movePin(session: Session): boolean {
  if (!mayMovePin(session.state)) return false;
  const before = isBackfilledTo(session);
  if (!session.connections.movePin()) return false;
  // If all of the WAL was in the database file before and after the move, it also was when the read transaction began.
  session.apply({ kind: 'pin-moved', isOnFile: before && isBackfilledTo(session) });
  return true;
}

/** Is everything that is visible read, and in the database file? */
function isBackfilledTo(session: Session): boolean {
  const { last } = session;
  const visible = session.readVisible();
  if (last === undefined || !sameSalts(last, visible) || visible.frameCount !== visible.backfilled) return false;
  return visibleEndOf(visible) === last.endOffset;
}

/** Does the WAL hold a frame about `size` bytes after the end of what was read? */
function hasFramesAfter({ wal, last, pageSize }: Session, size: number): boolean {
  const header = wal.header();
  if (header === undefined || header.pageSize !== pageSize) return false;
  const frameSize = walSizeOf(pageSize, 1) - WAL_HEADER_SIZE;
  const start = last !== undefined && sameSalts(last, header) ? last.endOffset : WAL_HEADER_SIZE;
  const at = start + Math.floor(size / frameSize) * frameSize;
  return wal.hasSaltsAt(at + FRAME_SALTS_OFFSET, header) && wal.hasSaltsAt(HEADER_SALTS_OFFSET, header);
}
