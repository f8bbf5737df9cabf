import { existsSync } from 'node:fs';
import type { TXID } from '@litestream/ltx';
import { runCooperatively } from '../../util/cooperative.ts';
import type { SyncContext } from './sync-context.ts';
import { syncSteps, syncVisible } from './sync.ts';

/**
 * Takes what was committed before a database file went away out of its log, which we hold open: SQLite has acknowledged
 * it, and `replicated` promises it. Never rejects: what cannot be read any more is lost with the file.
 *
 * The metadata folder may be gone with the database, and is not made again beside nothing.
 */
export async function drainWal(
  context: SyncContext,
  publish: (txid: TXID) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { session, level0, logger } = context;
  // Without the pin, or a place to go on from, only a look at the database file would tell what is missing.
  if (!session.connections.pinned || session.state.kind === 'snapshot-required' || !existsSync(level0.folder)) return;
  try {
    await syncVisible(async () => {
      const outcome = await runCooperatively(syncSteps(context), signal);
      if (outcome.kind === 'written') publish(outcome.txid);
      return outcome;
    });
  } catch (error) {
    logger.debug('the rest of the log of a removed database could not be read', { error });
  }
}
