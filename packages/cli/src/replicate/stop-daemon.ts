import { LitestreamError, isLitestreamError } from '@litestream/core';
import type { Logger, StopOptions } from '@litestream/core';
import type { Config } from '../config/types.ts';
import { messageWithCauses } from '../util/describe-error.ts';
import type { Daemon } from '../daemon/daemon.ts';
import type { Shutdown } from './shutdown.ts';

/**
 * Syncs all databases a last time, in parallel, until the shutdown is over. Logs the failures. Resolves to the error to exit
 * with if a replica may lack commits.
 */
export async function stopDaemon(
  daemon: Daemon,
  { config, logger, shutdown }: { readonly config: Config; readonly logger: Logger; readonly shutdown: Shutdown },
): Promise<LitestreamError | undefined> {
  shutdown.begin();
  const failures = await daemon.close({ ...stopOptionsOf(config), signal: shutdown.over });
  for (const error of failures) {
    if (shutdown.over.aborted) logger.warn('shutdown sync skipped', { error });
    else logger.error('failed to close database', { error });
  }
  const [first] = failures;
  if (first === undefined) return undefined;
  const { code, hint } = isLitestreamError(first) ? first : { code: 'INTERNAL' as const, hint: undefined };
  return new LitestreamError(`close store: ${messageWithCauses(first)}`, { code, hint, operation: 'stop' });
}

/** Time limits of the last sync, from the config. */
export function stopOptionsOf({ shutdownSyncTimeoutMs, shutdownSyncIntervalMs }: Config): StopOptions {
  return { timeoutMs: shutdownSyncTimeoutMs, intervalMs: shutdownSyncIntervalMs };
}
