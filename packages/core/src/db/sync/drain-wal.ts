import { existsSync } from 'node:fs';
import type { TXID } from '@litestream/ltx';
import { runCooperatively } from '../../util/cooperative.ts';
import type { SyncContext } from './sync-context.ts';
import { syncSteps, syncVisible } from './sync.ts';

/**
 * Reads the commits that were made before a database file was removed from its WAL, which we hold open: SQLite has
 * acknowledged them, and `replicated` promises them. Never rejects: commits that cannot be read any more are lost with
 * the file.
 *
 * The metadata folder may be gone with the database, and is not created again without it.
 */
export async function drainWal(
  context: SyncContext,
  publish: (txid: TXID) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { session, level0, logger } = context;
  // Without the pin, or a proven position, only the database file could show what is missing.
  if (!session.connections.pinned || session.state.kind === 'snapshot-required' || !existsSync(level0.folder)) return;
  try {
    await syncVisible(async () => {
      const outcome = await runCooperatively(syncSteps(context), signal);
      if (outcome.kind === 'written') publish(outcome.txid);
      return outcome;
    });
  } catch (error) {
    logger.debug('the rest of the WAL of a removed database could not be read', { error });
  }
}
