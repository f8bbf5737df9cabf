/** Values of a config that work, but probably not as intended. The log lines are those of Litestream (Go). */
import { parseDuration } from '../units/duration.ts';
import { expandPath } from './paths.ts';
import type { RawConfig } from './schema/schema.ts';
import type { Config } from './types.ts';

export const DEFAULT_SHUTDOWN_TIMEOUT_MS = 30_000;

export interface Notice {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Milliseconds; undefined unless it is a positive duration with a unit. */
export function shutdownTimeout(value: unknown): number | undefined {
  const parsed = typeof value === 'string' ? parseDuration(value) : undefined;
  return parsed !== undefined && parsed > 0 ? parsed : undefined;
}

export function noticesOf(raw: RawConfig, config: Config): Notice[] {
  const notices: Notice[] = [];
  const retention = (field: string, intervalMs: number | undefined, retentionMs: number | undefined): void => {
    if (intervalMs === undefined || retentionMs === undefined || retentionMs >= intervalMs) return;
    const fields = { field, retention: retentionMs, interval: intervalMs };
    notices.push({ message: 'snapshot retention is shorter than snapshot interval', fields });
  };
  retention('snapshot.retention', config.snapshot.intervalMs, config.snapshot.retentionMs);
  for (const { path, dir, snapshot } of raw.dbs ?? []) {
    retention(
      `dbs[${path ? expandPath(path) : (dir ?? '')}].snapshot.retention`,
      snapshot?.interval,
      snapshot?.retention,
    );
  }
  const value = raw['shutdown-timeout'];
  if (value !== undefined && shutdownTimeout(value) === undefined) {
    const fields = { value, default: DEFAULT_SHUTDOWN_TIMEOUT_MS };
    notices.push({ message: 'invalid shutdown-timeout; using default', fields });
  }
  return notices;
}
