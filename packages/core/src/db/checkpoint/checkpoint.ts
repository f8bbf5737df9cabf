import { setTimeout as sleep } from 'node:timers/promises';
import type { TXID } from '@litestream/ltx';
import { hasCode, LitestreamError } from '../../util/error.ts';
import type { Logger } from '../../util/logger.ts';
import { WAL_HEADER_SIZE, sameSalts, walSizeOf } from '../../sqlite/wal/wal-header.ts';
import type { CheckpointMode, CheckpointResult } from '../../sqlite/checkpoint/checkpoint-call.ts';
import { BUSY } from '../../sqlite/checkpoint/checkpoint-call.ts';
import { markDatabase } from '../../sqlite/database-file/database-mark.ts';
import { visibleEndOf } from '../session/next-sync.ts';
import type { ResolvedDbOptions } from '../session/options.ts';
import { isWalFarAhead, movePin } from '../session/pin.ts';
import type { Session } from '../session/session.ts';
import { requireUnchanged } from '../session/session-faults.ts';
import { fsyncAsync, runBlocking, runCooperatively } from '../../util/cooperative.ts';
import type { SyncOutcome } from '../sync/sync.ts';
import { syncSteps } from '../sync/sync.ts';
import type { SyncSessionContext } from '../sync/sync-session.ts';
import { published } from '../sync/sync-session.ts';
import type { WorkCounter } from '../status/work-totals.ts';

export interface CheckpointContext {
  readonly session: Session;
  readonly options: ResolvedDbOptions;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
  readonly syncContext: SyncSessionContext;
  readonly publish: (txid: TXID) => void;
  /** Called after each checkpoint with the time it took; failed: it threw, because locks of others kept it from starting, or for worse. */
  readonly onCheckpoint: (mode: CheckpointMode, durationMs: number, failed: boolean) => void;
  /** Told of each checkpoint that SQLite made, or was kept from making. */
  readonly onResult: (mode: CheckpointMode, result: CheckpointResult) => void;
}

/** @param context of the syncs that belong to a checkpoint */
export function checkpointContextOf(
  context: SyncSessionContext,
  options: ResolvedDbOptions,
  totals: WorkCounter,
  onResult: CheckpointContext['onResult'],
): CheckpointContext {
  return {
    session: context.session,
    options,
    logger: context.logger,
    signal: context.busy.signal,
    syncContext: { ...context, sizeMax: 0, checkpointing: true },
    publish: (txid) => published(context, txid),
    onCheckpoint: (mode, durationMs, failed) => totals.addCheckpoint(mode, durationMs, failed),
    onResult,
  };
}

/** Checkpoints if a threshold says so: TRUNCATE for a runaway log, PASSIVE for a full one or one that waits too long. */
export async function checkpointIfDue(context: CheckpointContext, outcome: SyncOutcome): Promise<void> {
  const { session, options, logger } = context;
  const mode = dueMode(context, outcome);
  if (mode === undefined) {
    if (outcome.kind === 'nothing' && quietInMs(session, options) === 0) await checkpointQuietly(context);
    return;
  }
  if (session.snapshots.size > 0) {
    logger.trace('checkpoint skipped, snapshot in progress', { mode });
    return;
  }
  const threshold = walSizeOf(session.pageSize, options.truncatePageN);
  try {
    if (mode === 'TRUNCATE' && !session.checkpoint.hasPassiveFailed) {
      const before = walFileSize(session);
      session.checkpoint.hasPassiveFailed = !(await checkpointOnce(context, 'PASSIVE'));
      if (!session.checkpoint.hasPassiveFailed) {
        logger.info('wal restarted by passive checkpoint, skipping truncate checkpoint', {
          wal_size: before,
          threshold,
        });
        return;
      }
    }
    if (mode === 'TRUNCATE') logger.info('forcing truncate checkpoint', { wal_size: walFileSize(session), threshold });
    await checkpointOnce(context, mode);
  } catch (error) {
    if (!hasCode(error, 'DATABASE_BUSY')) throw error;
    if (mode === 'TRUNCATE') session.checkpoint.hasPassiveFailed = true;
    logger.trace('passive checkpoint skipped', { reason: 'database busy' });
  }
}

/** A checkpoint by request. Rejects with `DATABASE_BUSY` if locks of others kept it from finishing. */
export async function checkpointNow(context: CheckpointContext, mode: CheckpointMode): Promise<void> {
  if (await checkpointOnce(context, mode)) return;
  throw new LitestreamError(`checkpoint did not finish: ${context.session.wal.path}`, {
    code: 'DATABASE_BUSY',
    retryable: true,
    operation: 'checkpoint',
    object: context.session.wal.path,
    hint: 'Another connection reads or writes; the checkpoint is taken up again when it is done.',
  });
}

/** Is there anything that a sync would do although nothing was written? */
export function checkpointIsDue(session: Session, options: ResolvedDbOptions): boolean {
  return session.checkpoint.isSyncedSince && session.snapshots.size === 0 && intervalIsOver(session, options);
}

function dueMode(context: CheckpointContext, outcome: SyncOutcome): CheckpointMode | undefined {
  const { session, options } = context;
  const size = walFileSize(session);
  if (size < walSizeOf(session.pageSize, options.truncatePageN)) session.checkpoint.hasPassiveFailed = false;
  else if (!session.isBackfilled) return 'TRUNCATE';
  if (session.isBackfilled) return undefined;
  // What is left is read behind the barrier. A writer that is faster than we are would stay ahead for good otherwise.
  if (outcome.kind === 'written' && outcome.unreadSize > 0 && isWalFarAhead(session, options)) return undefined;
  if (size >= walSizeOf(session.pageSize, options.minCheckpointPageN)) return 'PASSIVE';
  return session.checkpoint.isSyncedSince && intervalIsOver(session, options) ? 'PASSIVE' : undefined;
}

/** A database to which nothing was committed for this long is quiet. */
const QUIET_MS = 700;

/**
 * In how many milliseconds a quiet database is checkpointed, so that our read transaction stands on the database file
 * alone: an application's `wal_checkpoint(RESTART)` or `(TRUNCATE)` would wait for any other for all of its busy timeout.
 * Undefined where there is nothing to checkpoint.
 */
export function quietInMs(session: Session, { checkpointIntervalMs }: ResolvedDbOptions): number | undefined {
  if (checkpointIntervalMs <= 0 || session.state.kind !== 'caught-up' || session.snapshots.size > 0) return undefined;
  if (!session.checkpoint.isSyncedSince || walFileSize(session) <= WAL_HEADER_SIZE) return undefined;
  return Math.max(0, session.checkpoint.publishedAtMs + QUIET_MS - performance.now());
}

function intervalIsOver(session: Session, options: ResolvedDbOptions): boolean {
  const { checkpointIntervalMs } = options;
  if (checkpointIntervalMs <= 0 || session.isBackfilled) return false;
  return (
    options.clock.monotonic() - session.checkpoint.triedAtMs > checkpointIntervalMs &&
    walFileSize(session) > walSizeOf(session.pageSize, 1)
  );
}

/** Bytes of the log that hold frames: the file's own size counts what is left of earlier generations. */
function walFileSize(session: Session): number {
  return session.last?.endOffset ?? 0;
}

/** True if all of the log is in the database file now (PASSIVE), or the log is empty (TRUNCATE). */
async function checkpointOnce(context: CheckpointContext, mode: CheckpointMode): Promise<boolean> {
  const startedAtMs = performance.now();
  let failed = true;
  try {
    const complete = await attemptCheckpoint(context, mode);
    failed = false;
    return complete;
  } finally {
    context.onCheckpoint(mode, performance.now() - startedAtMs, failed);
  }
}

async function attemptCheckpoint(context: CheckpointContext, mode: CheckpointMode): Promise<boolean> {
  const { session, options, signal } = context;
  session.checkpoint.triedAtMs = options.clock.monotonic();
  await backfillBesideWriters(context);
  // During this sync, a writer that is as fast as the disk adds about as much: it has to wait.
  if (!session.checkpoint.isOutpaced) await syncWalAhead(session);
  const deadlineMs = performance.now() + options.busyTimeoutMs;
  for (let delayMs = 1; ; delayMs *= 2) {
    const busyTimeoutMs = Math.max(0, deadlineMs - performance.now());
    // The ledger cannot be loaded behind the barrier, and a commit may have been made just before the barrier.
    if (session.last !== undefined) await context.syncContext.ledger.at(session.last);
    const passive = await session.connections.barrier({ busyTimeoutMs, signal }, () => passiveBehindBarrier(context));
    report(context, 'PASSIVE', passive);
    const complete = isComplete(passive);
    session.checkpoint.isSyncedSince = false;
    await repin(context);
    if (mode === 'PASSIVE') return complete;
    if (complete) {
      // All of the log is in the database file, and the pin stands on that: the log is emptied with nothing lost, or a
      // commit has slipped in, and then nobody can move it to the database file and SQLite keeps the log.
      const truncated = session.connections.checkpoint('TRUNCATE');
      report(context, 'TRUNCATE', truncated);
      if (!truncated.busy) return true;
    }
    if (performance.now() + delayMs > deadlineMs) return false;
    await sleep(delayMs);
  }
}

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
async function backfillBesideWriters(context: CheckpointContext): Promise<void> {
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
async function backfillOnce(context: CheckpointContext): Promise<boolean> {
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

function measuredCheckpoint(session: Session): CheckpointResult {
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
async function syncWalAhead({ wal }: Session): Promise<void> {
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

/** Brings a quiet database to the state in which others may checkpoint as they like, without keeping any writer waiting. */
async function checkpointQuietly(context: CheckpointContext): Promise<void> {
  const { session } = context;
  session.checkpoint.isSyncedSince = false;
  // The checkpoint takes the descriptor that the writer gives up: SQLite keeps those of closed connections.
  session.connections.rest(0);
  await backfillOnce(context);
  movePin(session);
  session.connections.rest(0);
}

/** Nobody can write here, and nothing may be awaited: the application may be waiting for us on this very thread. */
function passiveBehindBarrier(context: CheckpointContext): CheckpointResult {
  const { session, syncContext, publish } = context;
  const outcome = runBlocking(syncSteps(syncContext));
  if (outcome.kind === 'written') publish(outcome.txid);
  // At rest, there is nothing in the WAL.
  if (session.state.kind === 'at-rest') return { busy: false, log: 0, checkpointed: 0, durationMs: 0 };
  if (!session.isCaughtUp) return BUSY;
  requireUnchanged(session);
  session.apply({ kind: 'pin-released' });
  session.connections.unpin();
  let result: CheckpointResult;
  try {
    result = measuredCheckpoint(session);
  } finally {
    // Whatever the checkpoint met, a full disk say. If this fails too, the next sync takes the pin before it reads.
    session.connections.pin();
  }
  // Read to the end, checkpointed and pinned again while nobody could write: nothing can have slipped in between.
  session.apply({ kind: 'checkpointed', isComplete: isComplete(result) });
  session.mark = markDatabase(session.descriptor.fd, session.index.fd);
  return result;
}

function isComplete({ log, checkpointed }: CheckpointResult): boolean {
  return log >= 0 && checkpointed === log;
}

/** Normally there is nothing to do: the pin was taken behind the barrier. */
async function repin(context: CheckpointContext): Promise<void> {
  if (context.session.connections.pinned) return;
  await context.session.connections.pinWhenFree({
    busyTimeoutMs: context.options.busyTimeoutMs,
    signal: context.signal,
  });
}

function report({ logger, onResult }: CheckpointContext, mode: CheckpointMode, result: CheckpointResult): void {
  onResult(mode, result);
  logger.debug('checkpoint', { mode, result: `${result.busy ? 1 : 0},${result.log},${result.checkpointed}` });
}
