import { replicaFromUrl } from './replicas.ts';
import { defaultConfig } from '../config/load.ts';
import { expandPath } from '../config/paths.ts';
import type { Config } from '../config/types.ts';

/** The config that `replicate DB_PATH REPLICA_URL…` stands for. */
export function commandLineConfig(path: string, urls: readonly string[], plugins: readonly string[]): Config {
  const config = defaultConfig();
  return {
    ...config,
    logging: { ...config.logging, levelText: config.logging.levelText || 'INFO' },
    plugins,
    databases: [
      {
        path: expandPath(path),
        directory: undefined,
        metaPath: undefined,
        stagingPath: undefined,
        monitorIntervalMs: undefined,
        checkpointIntervalMs: undefined,
        busyTimeoutMs: undefined,
        minCheckpointPageCount: undefined,
        truncatePageCount: undefined,
        maxSyncWalBytes: undefined,
        restoreIfDbNotExists: false,
        replicas: urls.map((url) => replicaFromUrl(url)),
      },
    ],
  };
}
