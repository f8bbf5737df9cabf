/** Moves frames of the WAL to the database file while writers continue, so that a checkpoint behind the barrier has little left. */
import { WAL_HEADER_SIZE, sameSalts, walSizeOf } from '../../sqlite/wal/wal-header.ts';
import type { CheckpointResult } from '../../sqlite/checkpoint/checkpoint-call.ts';
import { markDatabase } from '../../sqlite/database-file/database-mark.ts';
import { visibleEndOf } from '../session/next-sync.ts';
import { movePin } from '../session/pin.ts';
import type { Session } from '../session/session.ts';
import { requireUnchanged } from '../session/session-faults.ts';
import { fsyncAsync, runCooperatively } from '../../util/cooperative.ts';
import { syncSteps } from '../sync/sync.ts';
import { isComplete, report } from './checkpoint-context.ts';
import type { CheckpointContext } from './checkpoint-context.ts';

/** Writers that are slower than the disk wait no longer than this, as far as can be foreseen, for a checkpoint behind the barrier. */
const BARRIER_MS_MAX = 250;
/** In bytes: a checkpoint of this size or more runs beside such writers, in a worker thread. */
const LARGE_SIZE = 64 << 20;
/** In bytes: the same, beside any writer. */
const HUGE_SIZE = 256 << 20;
/** In bytes: where the barrier finds no more than this, the writer is not fast. */
const SMALL_SIZE = 16 << 20;
const ROUNDS_MAX = 8;

/**
 * Moves what was read of the WAL to the database file while writers go on, and again what they wrote meanwhile, until the
 * rest is small, or does not shrink: behind the barrier they would wait for all of it. The pin goes first, for nothing is
 * moved beyond it.
 */
export async function backfillBesideWriters(context: CheckpointContext): Promise<void> {
  const { session, signal } = context;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { checkpoint } = session;
    const size = restSize(session);
    if (size <= SMALL_SIZE) checkpoint.isOutpaced = false;
    if (!isLarge(session, size)) return;
    // The pin moves only once everything was read; a file at its size limit leaves a rest unread.
    if (!session.isCaughtUp) await syncToEnd(context);
    const before = restSize(session);
    if (!(await backfillOnce(context))) return;
    // A writer that is as fast as the disk stays ahead for good.
    checkpoint.isOutpaced = restSize(session) > before / 2;
    if (checkpoint.isOutpaced) return;
    signal?.throwIfAborted();
  }
}

/** False if the pin could not move, or nothing was moved to the database file. */
export async function backfillOnce(context: CheckpointContext): Promise<boolean> {
  const { session, signal } = context;
  const before = restSize(session);
  if (!movePin(session)) return false;
  requireUnchanged(session);
  report(context, 'PASSIVE', await checkpointBesideWriters(session, signal));
  session.mark = markDatabase(session.descriptor.fd, session.index.fd);
  const hasMoved = restSize(session) < before;
  await syncToEnd(context);
  return hasMoved;
}

/** Reads the WAL to its end while writers go on, unless they write more than half as fast as it is read. */
async function syncToEnd({ session, syncContext, options, publish, signal }: CheckpointContext): Promise<void> {
  for (let before = unreadSize(session); ;) {
    const outcome = await runCooperatively(syncSteps({ ...syncContext, sizeMax: options.maxSyncWalBytes }), signal);
    if (outcome.kind !== 'written') return;
    publish(outcome.txid);
    const unread = unreadSize(session);
    if (outcome.unreadSize === 0 || unread > before - options.maxSyncWalBytes / 2) return;
    before = unread;
  }
}

/** Bytes of visible frames behind those that the last level-0 file holds. */
function unreadSize(session: Session): number {
  const visible = session.readVisible();
  const { last } = session;
  const read = last !== undefined && sameSalts(last, visible) ? last.endOffset : WAL_HEADER_SIZE;
  return Math.max(0, visibleEndOf(visible) - read);
}

/** From so many bytes on a checkpoint tells how fast the disk is. */
const MEASURED_SIZE_MIN = 1 << 20;

/** A PASSIVE checkpoint on this thread. Remembers how fast the disk is. */
export function measuredCheckpoint(session: Session): CheckpointResult {
  const before = session.readVisible().backfilled;
  return measured(session, before, session.connections.checkpoint('PASSIVE'));
}

/** A checkpoint without the write lock. A large one leaves the event loop to other databases. */
async function checkpointBesideWriters(session: Session, signal: AbortSignal | undefined): Promise<CheckpointResult> {
  await syncWalAhead(session);
  if (!isLarge(session, restSize(session))) return measuredCheckpoint(session);
  const before = session.readVisible().backfilled;
  const result = await session.connections.checkpointElsewhere(signal);
  // SQLite makes the database file durable only if every frame was moved (`walCheckpoint` in its `wal.c`). Otherwise the next
  // checkpoint, behind the barrier, would do it, and writers would wait for all that this one has written.
  const syncMs = isComplete(result) ? 0 : await syncAhead(session.descriptor.fd);
  return measured(session, before, { ...result, durationMs: result.durationMs + syncMs });
}

/** Makes a file durable before SQLite does, which would block the event loop, or a writer. Resolves to the time in ms. */
async function syncAhead(fd: number): Promise<number> {
  const startedAtMs = performance.now();
  try {
    await fsyncAsync(fd);
  } catch {
    // SQLite syncs it again, and reports the error.
  }
  return performance.now() - startedAtMs;
}

/** Includes frames of a large transaction in progress, for which a checkpoint of a few pages would wait, too. */
export async function syncWalAhead({ wal }: Session): Promise<void> {
  if (wal.isOpen) await syncAhead(wal.fd);
}

/** Remembers how fast the disk is. */
function measured(session: Session, backfilledBefore: number, result: CheckpointResult): CheckpointResult {
  const size = (session.readVisible().backfilled - backfilledBefore) * session.pageSize;
  if (size >= MEASURED_SIZE_MIN) session.checkpoint.bytesPerMs = size / Math.max(1, result.durationMs);
  return result;
}

/** Would writers, or other databases, have to wait too long for it? */
function isLarge({ checkpoint }: Session, size: number): boolean {
  if (size >= HUGE_SIZE) return true;
  return !checkpoint.isOutpaced && (size >= LARGE_SIZE || size / checkpoint.bytesPerMs >= BARRIER_MS_MAX);
}

/** Bytes of visible frames that are not in the database file. */
function restSize(session: Session): number {
  const { frameCount, backfilled } = session.readVisible();
  return walSizeOf(session.pageSize, frameCount - backfilled) - WAL_HEADER_SIZE;
}
