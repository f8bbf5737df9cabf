import { checkLevels, DEFAULT_LEVELS } from '../../compaction/compaction-levels.ts';
import { Store } from '../../maintenance/store.ts';
import type { StoreOptions } from '../../maintenance/store.ts';
import { DEFAULTS } from '../../util/defaults.ts';
import { BackendStores } from '../replication/backend-stores.ts';
import type { Container } from './container.ts';
import type { MaintenanceSettings } from './settings.ts';
import { parts } from './tokens.ts';

/** Adds the defaults to the given settings. Throws `CONFIG_INVALID` if the levels are not 1, 2, 3 … in order. */
export function maintenanceSettings(given: {
  readonly [Key in keyof MaintenanceSettings]?: MaintenanceSettings[Key] | undefined;
}): MaintenanceSettings {
  const levels = given.levels ?? DEFAULT_LEVELS;
  checkLevels(levels);
  return {
    levels,
    snapshotIntervalMs: given.snapshotIntervalMs ?? DEFAULTS.snapshotIntervalMs,
    snapshotRetentionMs: given.snapshotRetentionMs ?? DEFAULTS.snapshotRetentionMs,
    level0RetentionMs: given.level0RetentionMs ?? DEFAULTS.level0RetentionMs,
    level0CheckIntervalMs: given.level0CheckIntervalMs ?? DEFAULTS.level0CheckIntervalMs,
    validationIntervalMs: given.validationIntervalMs ?? DEFAULTS.validationIntervalMs,
    drillIntervalMs: given.drillIntervalMs ?? DEFAULTS.drillIntervalMs,
    retentionEnabled: given.retentionEnabled ?? DEFAULTS.retentionEnabled,
    verifyCompaction: given.verifyCompaction ?? DEFAULTS.verifyCompaction,
  };
}

/** The stores that maintain the replicas of the container, one for each backend; undefined if another process maintains them. */
export function backendStores(
  container: Container,
  options: Pick<StoreOptions, 'onError' | 'concurrency'>,
): BackendStores | undefined {
  const settings = container.resolve(parts.maintenance);
  if (settings === undefined) return undefined;
  const { levels, snapshotIntervalMs, level0CheckIntervalMs, validationIntervalMs, drillIntervalMs } = settings;
  const intervals = { levels, snapshotIntervalMs, level0CheckIntervalMs, validationIntervalMs, drillIntervalMs };
  const clock = container.resolve(parts.clock);
  const logger = container.resolve(parts.logger);
  // Without `retentionEnabled`: each store would warn. The caller warns once.
  return new BackendStores(() => new Store({ ...intervals, clock, logger, ...options }));
}
