/** What one checkpoint of an open database works with. */
import type { TXID } from '@litestream/ltx';
import type { Logger } from '../../util/logger.ts';
import type { CheckpointMode, CheckpointResult } from '../../sqlite/checkpoint/checkpoint-call.ts';
import type { ResolvedDbOptions } from '../session/options.ts';
import type { Session } from '../session/session.ts';
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

/** To be called after each checkpoint. */
export function report({ logger, onResult }: CheckpointContext, mode: CheckpointMode, result: CheckpointResult): void {
  onResult(mode, result);
  logger.debug('checkpoint', { mode, result: `${result.busy ? 1 : 0},${result.log},${result.checkpointed}` });
}

/** Were all frames of the WAL moved to the database file? */
export function isComplete({ log, checkpointed }: CheckpointResult): boolean {
  return log >= 0 && checkpointed === log;
}
