import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, LitestreamError } from '../../util/error.ts';
import { walSizeOf } from '../../sqlite/wal/wal-header.ts';
import type { CheckpointMode, CheckpointResult } from '../../sqlite/checkpoint/checkpoint-call.ts';
import { BUSY } from '../../sqlite/checkpoint/checkpoint-call.ts';
import { markDatabase } from '../../sqlite/database-file/database-mark.ts';
import { movePin } from '../session/pin.ts';
import { requireUnchanged } from '../session/session-faults.ts';
import { runBlocking } from '../../util/cooperative.ts';
import type { SyncOutcome } from '../sync/sync.ts';
import { syncSteps } from '../sync/sync.ts';
import { backfillBesideWriters, backfillOnce, measuredCheckpoint, syncWalAhead } from './backfill.ts';
import { isComplete, report } from './checkpoint-context.ts';
import type { CheckpointContext } from './checkpoint-context.ts';
import { dueMode, quietInMs, usedWalSize } from './checkpoint-due.ts';

/** Checkpoints if a threshold says so: TRUNCATE for a runaway WAL, PASSIVE for a full one or one that waits too long. */
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
      const before = usedWalSize(session);
      session.checkpoint.hasPassiveFailed = !(await checkpointOnce(context, 'PASSIVE'));
      if (!session.checkpoint.hasPassiveFailed) {
        logger.info('wal restarted by passive checkpoint, skipping truncate checkpoint', {
          wal_size: before,
          threshold,
        });
        return;
      }
    }
    if (mode === 'TRUNCATE') logger.info('forcing truncate checkpoint', { wal_size: usedWalSize(session), threshold });
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

/** True if all of the WAL is in the database file now (PASSIVE), or the WAL is empty (TRUNCATE). */
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
      // All of the WAL is in the database file, and the pin stands on that: the WAL is emptied with nothing lost, or a
      // commit has slipped in, and then no connection can move it to the database file and SQLite keeps the WAL.
      const truncated = session.connections.checkpoint('TRUNCATE');
      report(context, 'TRUNCATE', truncated);
      if (!truncated.busy) return true;
    }
    if (performance.now() + delayMs > deadlineMs) return false;
    await sleep(delayMs);
  }
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

/** No other connection can write here, and nothing may be awaited: the application may wait for us on this very thread. */
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
  // Read to the end, checkpointed and pinned again while no other connection could write: nothing can have slipped in between.
  session.apply({ kind: 'checkpointed', isComplete: isComplete(result) });
  session.mark = markDatabase(session.descriptor.fd, session.index.fd);
  return result;
}

/** Normally there is nothing to do: the pin was taken behind the barrier. */
async function repin(context: CheckpointContext): Promise<void> {
  if (context.session.connections.pinned) return;
  await context.session.connections.pinWhenFree({
    busyTimeoutMs: context.options.busyTimeoutMs,
    signal: context.signal,
  });
}
