/** `-once`: replicates all commits made so far, then ends. */
import type { Logger } from '@litestream/core';
import { describeError } from '../util/describe-error.ts';
import type { Daemon } from '../daemon/daemon.ts';
import { withDatabasePath } from '../daemon/services/with-database.ts';

export interface OnceOptions {
  readonly forceSnapshot: boolean;
  readonly enforceRetention: boolean;
}

/** Syncs one database after the other, and continues after failures. Rejects with the first failure at the end. */
export async function runOnce(daemon: Daemon, options: OnceOptions, logger: Logger): Promise<void> {
  const failures: unknown[] = [];
  for (const { path, running } of daemon.databases) {
    if (running === undefined) continue;
    try {
      logger.info('syncing database', { path });
      await running.syncOnce();
      if (options.forceSnapshot) {
        logger.info('taking snapshot', { path });
        await running.snapshot();
      }
      if (options.enforceRetention) {
        logger.info('enforcing retention', { path });
        await running.enforceRetention();
      }
    } catch (error) {
      failures.push(withDatabasePath(path, error));
      if (daemon.databases.length > 1) logger.error('sync failed', { path, error: describeError(error) });
    }
  }
  if (failures.length > 0) throw failures[0];
  logger.info('one-shot replication complete');
}
