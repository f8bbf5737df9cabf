import { setTimeout as delay } from 'node:timers/promises';
import { DEFAULTS } from '../../util/defaults.ts';
import { hasCode, LitestreamError } from '../../util/error.ts';
import type { LogFields, Logger } from '../../util/logger.ts';

export interface ShutdownSyncOptions {
  /** How long to try in all, in milliseconds. 0: once. Default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Delay between attempts, in milliseconds. Default 500 ms. */
  readonly intervalMs?: number | undefined;
  /** Aborted by a second Ctrl-C: stops at once. */
  readonly signal?: AbortSignal | undefined;
  /** Fields at the end of each log line. */
  readonly facts?: LogFields | undefined;
}

/**
 * Retries `sync` until it succeeds: the last upload of a stopping process. Rejects with `TIMEOUT`, with `ABORTED` once
 * the signal is aborted, or at once with `REPLICA_CONFLICT`, or with `LEASE_LOST` if another process has the lease. The
 * log messages are those of Litestream (Go).
 */
export async function syncForShutdown(
  sync: (signal: AbortSignal) => Promise<void>,
  logger: Logger,
  options: ShutdownSyncOptions = {},
): Promise<void> {
  const {
    timeoutMs = DEFAULTS.shutdownSyncTimeoutMs,
    intervalMs = DEFAULTS.shutdownSyncIntervalMs,
    signal,
    facts,
  } = options;
  const startMs = performance.now();
  const elapsed = (): number => Math.round(performance.now() - startMs);
  // The longest delay of a timer in Node is about 24 days.
  const deadline = timeoutMs > 0 ? AbortSignal.timeout(Math.min(timeoutMs, 2 ** 31 - 1)) : undefined;
  const either = AbortSignal.any([signal, deadline].filter((each) => each !== undefined));
  for (let attempts = 1; ; attempts++) {
    if (isAborted(signal)) {
      logger.warn('shutdown sync skipped, interrupted by signal', {
        attempts: attempts - 1,
        duration: elapsed(),
        ...facts,
      });
      throw interrupted(attempts - 1, signal?.reason);
    }
    try {
      await sync(either);
      if (attempts > 1) logger.info('shutdown sync succeeded after retry', { attempts, duration: elapsed(), ...facts });
      return;
    } catch (error) {
      if (isAborted(signal)) {
        logger.warn('shutdown sync interrupted by signal', { attempts, duration: elapsed(), error, ...facts });
        throw interrupted(attempts, error);
      }
      // Already logged when it was found; waiting does not end the other process.
      const isLost = hasCode(error, 'LEASE_LOST') && !error.retryable;
      if (timeoutMs === 0 || isLost || hasCode(error, 'REPLICA_CONFLICT')) throw error;
      if (elapsed() + intervalMs >= timeoutMs) {
        logger.error('shutdown sync failed after timeout', { attempts, duration: elapsed(), error, ...facts });
        throw new LitestreamError(`shutdown sync timeout after ${attempts} attempts`, {
          code: 'TIMEOUT',
          operation: 'stop',
          hint: 'Changes since the last upload are in the local files, and are sent when replication starts again.',
          cause: error,
        });
      }
      const remaining = timeoutMs - elapsed();
      logger.warn('shutdown sync failed, retrying', {
        attempts,
        error,
        elapsed: elapsed(),
        remaining,
        ...facts,
      });
      await delay(intervalMs, undefined, { signal: either }).catch(() => undefined);
    }
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function interrupted(attempts: number, cause: unknown): LitestreamError {
  return new LitestreamError(`shutdown sync interrupted after ${attempts} attempts`, {
    code: 'ABORTED',
    operation: 'stop',
    hint: 'Changes since the last upload are in the local files, and are sent when replication starts again.',
    cause,
  });
}
