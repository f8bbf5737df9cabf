import { sleep } from '../util/clock.ts';
import type { Clock } from '../util/clock.ts';
import { isLitestreamError } from '../util/error.ts';
import type { Leaser, LeaseWriteOptions } from './leaser.ts';
import type { Lease } from './record.ts';

/** Between two attempts. */
const RETRY_MS = 200;

/** Tries again after transient failures: otherwise the next process would wait for a whole term. */
export async function releaseSoon(
  { leaser, clock }: { readonly leaser: Leaser; readonly clock: Clock },
  lease: Lease,
  options: LeaseWriteOptions,
): Promise<void> {
  for (;;) {
    try {
      return await leaser.release(lease, options);
    } catch (error) {
      if (!isLitestreamError(error) || !error.retryable || options.signal?.aborted === true) throw error;
      await sleep(clock, RETRY_MS, options.signal);
    }
  }
}
