/**
 * The defaults of all settings of replication, for the library and the command. If Litestream (Go) has the setting, the default is the
 * same. Durations are in milliseconds.
 */
export interface Defaults {
  /** Minimum time between two level-0 files, and between two rounds of uploads. */
  readonly syncIntervalMs: number;
  readonly monitorIntervalMs: number;
  readonly checkpointIntervalMs: number;
  readonly minCheckpointPageN: number;
  readonly truncatePageN: number;
  readonly busyTimeoutMs: number;
  readonly arrivalQuietMs: number;
  /** Bytes. */
  readonly maxSyncWalBytes: number;
  /** Of levels 1, 2, …. */
  readonly levelIntervalsMs: readonly number[];
  readonly snapshotIntervalMs: number;
  readonly snapshotRetentionMs: number;
  readonly level0RetentionMs: number;
  readonly level0CheckIntervalMs: number;
  /** 0: never. */
  readonly validationIntervalMs: number;
  /** 0: never. */
  readonly drillIntervalMs: number;
  readonly retentionEnabled: boolean;
  readonly verifyCompaction: boolean;
  /** Replicas of one backend that are maintained at the same time. */
  readonly concurrency: number;
  readonly shutdownSyncTimeoutMs: number;
  readonly shutdownSyncIntervalMs: number;
}

const HOUR_MS = 60 * 60_000;

export const DEFAULTS: Defaults = {
  syncIntervalMs: 1000,
  monitorIntervalMs: 1000,
  checkpointIntervalMs: 60_000,
  minCheckpointPageN: 1000,
  truncatePageN: 121_359,
  busyTimeoutMs: 1000,
  arrivalQuietMs: 1000,
  maxSyncWalBytes: 64 * 1024 * 1024,
  levelIntervalsMs: [30_000, 5 * 60_000, HOUR_MS],
  snapshotIntervalMs: 24 * HOUR_MS,
  snapshotRetentionMs: 24 * HOUR_MS,
  level0RetentionMs: 5 * 60_000,
  level0CheckIntervalMs: 15_000,
  validationIntervalMs: 0,
  drillIntervalMs: 0,
  retentionEnabled: true,
  verifyCompaction: false,
  concurrency: 4,
  shutdownSyncTimeoutMs: 30_000,
  shutdownSyncIntervalMs: 500,
};
