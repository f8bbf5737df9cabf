import { parentPort, workerData } from 'node:worker_threads';
import { sumPagesNow } from './scan-pages.ts';
import { WalRestartedError } from '../../pages/page-source.ts';
import { runBlocking } from '../../util/cooperative.ts';
import type { WorkerAnswer, WorkerTask } from './write-job.ts';
import { writeLtx } from './write-ltx.ts';
import { writePart } from './write-parallel.ts';

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has no origin
parentPort?.postMessage(answer(workerData as WorkerTask));

function answer(task: WorkerTask): WorkerAnswer {
  try {
    if ('scan' in task) {
      sumPagesNow(task.scan, task.checksums);
      return { size: 0 };
    }
    const { job, part } = task;
    return { size: part === undefined ? runBlocking(writeLtx(job)) : writePart(job, part.progress, part.isFirst) };
  } catch (error) {
    return { error, restarted: error instanceof WalRestartedError };
  }
}
