import { parentPort, workerData } from 'node:worker_threads';
import { WalRestartedError } from './page-source.ts';
import { runNow } from './steps.ts';
import type { WorkerAnswer } from './write-job.ts';
import type { LtxJob } from './write-ltx.ts';
import { writeLtx } from './write-ltx.ts';

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has no origin
parentPort?.postMessage(answer(workerData as LtxJob));

function answer(job: LtxJob): WorkerAnswer {
  try {
    return { size: runNow(writeLtx(job)) };
  } catch (error) {
    return { error, restarted: error instanceof WalRestartedError };
  }
}
