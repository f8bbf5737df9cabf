import type { DatabaseSettings } from '@litestream/core/composition';
import type { Logger } from '@litestream/core';
import type { SingleDatabase } from '../databases/directory.ts';
import { showSnapshots } from '../terminal/snapshot-progress.ts';
import type { Terminal } from '../terminal/terminal.ts';

/** The settings of a database of the config, as the library takes them. */
export function dbOptionsOf(
  database: SingleDatabase,
  progress: { readonly terminal: Terminal; readonly logger: Logger },
): DatabaseSettings['options'] {
  return {
    metaPath: database.metaPath,
    stagingPath: database.stagingPath,
    syncIntervalMs: Math.min(...database.replicas.map(({ syncIntervalMs }) => syncIntervalMs)),
    monitorIntervalMs: database.monitorIntervalMs,
    checkpointIntervalMs: database.checkpointIntervalMs,
    minCheckpointPageN: database.minCheckpointPageCount,
    truncatePageN: database.truncatePageCount,
    busyTimeoutMs: database.busyTimeoutMs,
    maxSyncWalBytes: database.maxSyncWalBytes,
    onProgress: showSnapshots(progress),
  };
}
