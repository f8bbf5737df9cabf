/** `restore-if-db-not-exists`: restores a missing database from its replica before replication starts. */
import { existsSync } from 'node:fs';
import { LitestreamError, hasCode, realDatabasePath, restore } from '@litestream/core';
import type { Logger, PluginRegistry, TXID } from '@litestream/core';
import { openReplicas } from './replicas.ts';
import type { OpenReplica } from './replicas.ts';
import { Progress } from '../terminal/progress.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { SingleDatabase } from './directory.ts';

export interface RestoreMissingOptions {
  readonly registry: PluginRegistry;
  readonly logger: Logger;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
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
  for (const replica of await farthestFirst(replicas.all, options.signal)) {
    // The application opens the file that a link leads to.
    if (await restoreFrom(replica, realDatabasePath(path), options)) {
      logger.info('restore completed', { path });
      return;
    }
  }
  logger.info('no backup found, starting fresh', { path });
}

/** False if the replica holds nothing to restore. */
async function restoreFrom({ client }: OpenReplica, output: string, options: RestoreMissingOptions): Promise<boolean> {
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

/**
 * Sorts the replicas, the highest TXID first. All have to answer: a replica that lags behind another would bring back an
 * old state, and begin a second timeline.
 */
async function farthestFirst(replicas: readonly OpenReplica[], signal: AbortSignal): Promise<readonly OpenReplica[]> {
  if (replicas.length < 2) return replicas;
  const ends = await Promise.all(
    replicas.map(async (replica) => {
      try {
        return { replica, end: await endOf(replica, signal) };
      } catch (cause) {
        throw new LitestreamError(`cannot read the last TXID of replica ${replica.text}`, {
          code: 'UNAVAILABLE',
          hint: 'All replicas have to answer, so that the newest state is restored. Remove this one from the config for now, or run litestream restore yourself.',
          cause,
        });
      }
    }),
  );
  return ends.sort((a, b) => Number(b.end - a.end)).map(({ replica }) => replica);
}

const LEVELS = Array.from({ length: 10 }, (_, level) => level);

async function endOf({ client }: OpenReplica, signal: AbortSignal): Promise<TXID> {
  let end = 0n;
  for (const level of LEVELS) {
    for await (const { maxTxid } of client.ltxFiles(level, { signal })) if (maxTxid > end) end = maxTxid;
  }
  return end;
}
