import { SNAPSHOT_LEVEL } from '@litestream/core';
import type { Logger } from '@litestream/core';
import { maintenanceSettings } from '@litestream/core/composition';
import type { MaintenanceSettings } from '@litestream/core/composition';
import type { Config } from '../../config/types.ts';

/** How the config wants replicas to be maintained: levels 1, 2, …, snapshots and retention. */
export function maintenanceOf(config: Config): MaintenanceSettings {
  return maintenanceSettings({
    levels: config.levels.map(({ intervalMs }, index) => ({ level: index + 1, intervalMs })),
    snapshotIntervalMs: config.snapshot.intervalMs,
    snapshotRetentionMs: config.snapshot.retentionMs,
    level0RetentionMs: config.l0RetentionMs,
    level0CheckIntervalMs: config.l0RetentionCheckIntervalMs,
    validationIntervalMs: config.validationIntervalMs,
    drillIntervalMs: config.drillIntervalMs,
    retentionEnabled: config.retentionEnabled,
    verifyCompaction: config.verifyCompaction,
  });
}

/** Logs the start of the monitors, in the words of Litestream (Go). */
export function announceMaintenance(settings: MaintenanceSettings, logger: Logger): void {
  if (!settings.retentionEnabled) {
    logger.warn('retention disabled; cloud provider lifecycle policies must handle retention', {
      hint: 'a database without writes gets no new snapshots: it loses its backup if the lifecycle rules of the cloud delete the last one',
    });
  }
  const store = logger.child({ system: 'store' });
  const snapshots = { level: SNAPSHOT_LEVEL, intervalMs: settings.snapshotIntervalMs };
  for (const { level, intervalMs } of [...settings.levels, snapshots]) {
    store.info('starting compaction monitor', { level, interval: intervalMs });
  }
  const { level0CheckIntervalMs: interval, level0RetentionMs: retention } = settings;
  if (retention > 0) store.info('starting L0 retention monitor', { interval, retention });
  const { validationIntervalMs, drillIntervalMs } = settings;
  if (validationIntervalMs > 0) store.info('starting validation monitor', { interval: validationIntervalMs });
  if (drillIntervalMs > 0) store.info('starting restore drills', { interval: drillIntervalMs });
}
