/** `restore-if-db-not-exists`: restores a missing database from its replica before replication starts. */
import { existsSync } from 'node:fs';
import { hasCode, realDatabasePath, restore } from '@litestream/core';
import type { Logger, PluginRegistry, ReplicaClient } from '@litestream/core';
import { farthestFirst } from '@litestream/core/composition';
import { openReplicas } from './replicas.ts';
import { Progress } from '../terminal/progress.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { SingleDatabase } from './directory.ts';

export interface RestoreMissingOptions {
  readonly registry: PluginRegistry;
  readonly logger: Logger;
  readonly terminal: Terminal;
  readonly signal?: AbortSignal | undefined;
}

/** Whether to restore the database before it is opened. With a lease, it is restored once this process holds the lease. */
export function isRestoredFirst({ replicas, restoreIfDbNotExists }: SingleDatabase): boolean {
  return restoreIfDbNotExists && replicas.every(({ lease }) => lease === undefined);
}

/** Restores the database if it does not exist. A replica without a backup is not an error: that is a first start. */
export async function restoreIfMissing(database: SingleDatabase, options: RestoreMissingOptions): Promise<void> {
  const { registry, logger } = options;
  const { path } = database;
  if (existsSync(path)) {
    logger.info('database exists, skipping restore', { path });
    return;
  }
  logger.info('attempting restore before replication', { path });
  await using replicas = await openReplicas(database.replicas, registry, path);
  const named = replicas.all.map(({ client, text }) => ({ client, name: text }));
  for (const replica of await farthestFirst(named, { signal: options.signal, hint: HINT })) {
    // The application opens the file that a link leads to.
    if (await restoreFrom(replica, realDatabasePath(path), options)) {
      logger.info('restore completed', { path });
      return;
    }
  }
  logger.info('no backup found, starting fresh', { path });
}

/** False if the replica holds nothing to restore. */
async function restoreFrom(
  { client }: { readonly client: ReplicaClient },
  output: string,
  options: RestoreMissingOptions,
): Promise<boolean> {
  const { terminal, signal } = options;
  const logger = options.logger.child({ replica: client.type });
  const progress = new Progress({ terminal, logger, name: 'restore' });
  try {
    await restore(client, {
      output,
      logger,
      signal,
      onProgress: ({ phase, bytesDone, bytesTotal }) => progress.update(phase, bytesDone, bytesTotal),
    });
    return true;
  } catch (error) {
    if (hasCode(error, 'REPLICA_EMPTY')) return false;
    throw error;
  } finally {
    progress.clear();
  }
}

const HINT =
  'Check the connection to this replica, and try again: it may hold the newest state. Remove it from the config only if you accept the loss of commits that no other replica has.';
