/** When an open database is checkpointed. */
import { WAL_HEADER_SIZE, walSizeOf } from '../../sqlite/wal/wal-header.ts';
import type { CheckpointMode } from '../../sqlite/checkpoint/checkpoint-call.ts';
import type { ResolvedDbOptions } from '../session/options.ts';
import { isWalFarAhead } from '../session/pin.ts';
import type { Session } from '../session/session.ts';
import type { SyncOutcome } from '../sync/sync.ts';
import type { CheckpointContext } from './checkpoint-context.ts';

/** Is there anything that a sync would do although nothing was written? */
export function checkpointIsDue(session: Session, options: ResolvedDbOptions): boolean {
  return session.checkpoint.isSyncedSince && session.snapshots.size === 0 && intervalIsOver(session, options);
}

/** The checkpoint that is due after a sync; undefined for none. */
export function dueMode({ session, options }: CheckpointContext, outcome: SyncOutcome): CheckpointMode | undefined {
  const size = usedWalSize(session);
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
  if (!session.checkpoint.isSyncedSince || usedWalSize(session) <= WAL_HEADER_SIZE) return undefined;
  return Math.max(0, session.checkpoint.publishedAtMs + QUIET_MS - performance.now());
}

function intervalIsOver(session: Session, options: ResolvedDbOptions): boolean {
  const { checkpointIntervalMs } = options;
  if (checkpointIntervalMs <= 0 || session.isBackfilled) return false;
  return (
    options.clock.monotonic() - session.checkpoint.triedAtMs > checkpointIntervalMs &&
    usedWalSize(session) > walSizeOf(session.pageSize, 1)
  );
}

/** Bytes of the WAL that hold frames: the file's own size counts frames of earlier generations. */
export function usedWalSize(session: Session): number {
  return session.last?.endOffset ?? 0;
}
