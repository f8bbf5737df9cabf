import { SNAPSHOT_LEVEL, Store } from '@litestream/core';
import type { CompactionLevel, Logger } from '@litestream/core';
import type { Config } from '../../config/types.ts';

/** Levels 1, 2, … with the intervals of the config. */
export function levelsOf(config: Config): CompactionLevel[] {
  return config.levels.map(({ intervalMs }, index) => ({ level: index + 1, intervalMs }));
}

/** A store with the intervals of the config. */
export function openStore(config: Config, logger: Logger): Store {
  return new Store({
    levels: levelsOf(config),
    snapshotIntervalMs: config.snapshot.intervalMs,
    level0CheckIntervalMs: config.l0RetentionCheckIntervalMs,
    validationIntervalMs: config.validationIntervalMs,
    drillIntervalMs: config.drillIntervalMs,
    logger: logger.child({ system: 'store' }),
  });
}

/** Logs the start of the monitors, in the words of Litestream (Go). */
export function announceStores(config: Config, logger: Logger): void {
  if (!config.retentionEnabled) {
    logger.warn('retention disabled; cloud provider lifecycle policies must handle retention', {
      hint: 'a database without writes gets no new snapshots: it loses its backup if the lifecycle rules of the cloud delete the last one',
    });
  }
  const store = logger.child({ system: 'store' });
  const levels = [...levelsOf(config), { level: SNAPSHOT_LEVEL, intervalMs: config.snapshot.intervalMs }];
  for (const { level, intervalMs } of levels) {
    store.info('starting compaction monitor', { level, interval: intervalMs });
  }
  const { l0RetentionCheckIntervalMs: interval, l0RetentionMs: retention, validationIntervalMs } = config;
  if (retention > 0) store.info('starting L0 retention monitor', { interval, retention });
  if ((validationIntervalMs ?? 0) > 0) store.info('starting validation monitor', { interval: validationIntervalMs });
  if ((config.drillIntervalMs ?? 0) > 0) store.info('starting restore drills', { interval: config.drillIntervalMs });
}
