/**
 * Moves our read transaction (the pin) along with the WAL.
 *
 * Where it stands decides what others can do. On a frame: they move what lies before it into the database file, and the
 * WAL cannot restart. On the database file alone, after a checkpoint (slot 0): the WAL may restart, but nobody can
 * checkpoint; and an application's automatic checkpoint sorts the whole WAL before it finds that out, at each commit.
 */
import type { ResolvedDbOptions } from './options.ts';
import type { Session } from './session.ts';
import { mayMovePin } from './wal-state.ts';
import { FRAME_SALTS_OFFSET, HEADER_SALTS_OFFSET, WAL_HEADER_SIZE, sameSalts, walSizeOf } from '../wal/wal-header.ts';

/** Bytes of the WAL that are not left waiting for the next sync interval. */
const LONG_WAL_SIZE = 32 << 20;

/** A shorter WAL is in nobody's way, and a database that is hardly written to is not to cost two more descriptors. */
const SHORT_WAL_PAGE_N = 16;

/** After a sync that found something: others may have what we have read. */
export function movePinAfterSync(session: Session): void {
  if (session.isBackfilled) return;
  if ((session.last?.endOffset ?? 0) < walSizeOf(session.pageSize, SHORT_WAL_PAGE_N)) return;
  movePin(session);
}

/** Between two syncs: gets out of the way once the WAL has restarted, or goes on, behind a checkpoint of ours. */
export function movePinAfterCheckpoint(session: Session): void {
  if (!session.isBackfilled || !hasFramesAfter(session, 0)) return;
  movePin(session);
}

/** Is there so much in the WAL that it should be synced, and checkpointed, before the interval is over? */
export function logIsLong(session: Session, options: ResolvedDbOptions): boolean {
  const size = Math.min(LONG_WAL_SIZE, options.maxSyncWalBytes > 0 ? options.maxSyncWalBytes / 2 : LONG_WAL_SIZE);
  return hasFramesAfter(session, size);
}

/** Is there more in the WAL than goes into one file? Nobody is to wait behind a barrier while all that is read. */
export function logIsFarAhead(session: Session, { maxSyncWalBytes }: ResolvedDbOptions): boolean {
  return maxSyncWalBytes > 0 && hasFramesAfter(session, maxSyncWalBytes);
}

function movePin(session: Session): void {
  if (!mayMovePin(session.state) || !session.connections.movePin()) return;
  session.apply({ kind: 'pin-moved' });
}

/** Does the WAL hold a frame that begins `size` bytes, about, after what was read of it? */
function hasFramesAfter({ wal, last, pageSize }: Session, size: number): boolean {
  const header = wal.header();
  if (header === undefined || header.pageSize !== pageSize) return false;
  const frameSize = walSizeOf(pageSize, 1) - WAL_HEADER_SIZE;
  const start = last !== undefined && sameSalts(last, header) ? last.endOffset : WAL_HEADER_SIZE;
  const at = start + Math.floor(size / frameSize) * frameSize;
  return wal.hasSaltsAt(at + FRAME_SALTS_OFFSET, header) && wal.hasSaltsAt(HEADER_SALTS_OFFSET, header);
}
