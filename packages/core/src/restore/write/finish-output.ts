import { silentLogger } from '../../util/logger.ts';
import { checkIntegrity } from '../check/integrity.ts';
import type { Output } from './output.ts';
import type { RestoreOptions } from '../plan/restore-options.ts';

/** How long the last steps took, in milliseconds. */
export interface FinishTimes {
  readonly syncDurationMs: number;
  readonly checkDurationMs: number;
}

/** Makes a complete output durable, lets SQLite check it if requested, and moves it to its path. */
export async function finishOutput(
  output: Output,
  options: RestoreOptions,
  done: { readonly bytes: number; readonly pages: number },
  beforePublish: () => Promise<void>,
): Promise<FinishTimes> {
  const { integrityCheck = 'none', signal, onProgress, logger = silentLogger } = options;
  const progress = { bytesDone: done.bytes, bytesTotal: done.bytes, pagesDone: done.pages };
  const startMs = performance.now();
  onProgress?.({ phase: 'sync', ...progress });
  await output.sync();
  const syncedMs = performance.now();
  if (integrityCheck !== 'none') {
    onProgress?.({ phase: 'check', ...progress });
    await checkIntegrity(output.temporaryPath, integrityCheck, signal);
    logger.info('post-restore integrity check passed');
  }
  const checkedMs = performance.now();
  signal?.throwIfAborted();
  await output.publish(async () => {
    await beforePublish();
    logger.debug('renaming database from temporary location');
  });
  return { syncDurationMs: syncedMs - startMs, checkDurationMs: checkedMs - syncedMs };
}
