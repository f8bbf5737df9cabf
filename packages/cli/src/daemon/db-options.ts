import type { DbOptions, Logger } from '@litestream/core';
import type { SingleDatabase } from '../databases/directory.ts';
import { showSnapshots } from '../terminal/snapshot-progress.ts';
import type { Services } from './services/services.ts';

/** The settings of a database of the config, as the library takes them. */
export function dbOptionsOf(
  database: SingleDatabase,
  { terminal }: Services,
  loggers: { readonly store: Logger; readonly database: Logger },
): DbOptions {
  return {
    metaPath: database.metaPath,
    stagingPath: database.stagingPath,
    logger: loggers.store,
    syncIntervalMs: Math.min(...database.replicas.map(({ syncIntervalMs }) => syncIntervalMs)),
    monitorIntervalMs: database.monitorIntervalMs,
    checkpointIntervalMs: database.checkpointIntervalMs,
    minCheckpointPageN: database.minCheckpointPageCount,
    truncatePageN: database.truncatePageCount,
    busyTimeoutMs: database.busyTimeoutMs,
    maxSyncWalBytes: database.maxSyncWalBytes,
    onProgress: showSnapshots({ terminal, logger: loggers.database }),
  };
}
