import type { Logger, StopOptions } from '@litestream/core';
import type { Config } from '../config/types.ts';
import type { Daemon } from './daemon.ts';
import type { Signals } from './signals.ts';

/**
 * Last sync of all databases at the same time; another signal ends it. A failure is logged, as upstream does. False if
 * there was one: something may not be on the replica.
 */
export async function stopDaemon(
  daemon: Daemon,
  { config, logger, signals }: { readonly config: Config; readonly logger: Logger; readonly signals: Signals },
): Promise<boolean> {
  const interrupt = new AbortController();
  void signals.next().then(() => interrupt.abort(new Error('interrupted by a second signal')));
  const failures = await daemon.close({ ...stopOptionsOf(config), signal: interrupt.signal });
  for (const error of failures) {
    if (interrupt.signal.aborted) logger.warn('shutdown sync skipped by user interrupt', { error });
    else logger.error('failed to close database', { error });
  }
  return failures.length === 0;
}

/** How long the config lets a last sync try. */
export function stopOptionsOf({ shutdownSyncTimeoutMs, shutdownSyncIntervalMs }: Config): StopOptions {
  return { timeoutMs: shutdownSyncTimeoutMs, intervalMs: shutdownSyncIntervalMs };
}
