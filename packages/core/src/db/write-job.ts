import { rmSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { WalRestartedError } from './page-source.ts';
import type { Steps } from './steps.ts';
import { runNow } from './steps.ts';
import type { LtxJob } from './write-ltx.ts';
import { writeLtx } from './write-ltx.ts';

/** From this many bytes of pages on, a file is made in a worker: less is done before a worker has started. */
const WORKER_SIZE_MIN = 8 * 1024 * 1024;

/** What the worker answers. */
export type WorkerAnswer = { readonly size: number } | { readonly error: unknown; readonly restarted: boolean };

/** Makes the file, in a worker if it is big and there is time for that. Returns its size in bytes. */
export function* writeAnywhere(job: LtxJob): Steps<number> {
  if (job.list.pgnos.length * job.header.pageSize < WORKER_SIZE_MIN) return yield* writeLtx(job);
  return (yield { now: () => runNow(writeLtx(job)), gently: (signal) => writeInWorker(job, signal) }) as number;
}

/**
 * The worker reads through descriptors that this thread opened and keeps. It must not open the database or `-shm`
 * itself: what a worker opened is closed when it ends, and SQLite's locks go with it.
 */
async function writeInWorker(job: LtxJob, signal: AbortSignal | undefined): Promise<number> {
  signal?.throwIfAborted();
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const worker = new Worker(new URL(`./write-worker${extension}`, import.meta.url), { workerData: job });
  const { promise, resolve, reject } = Promise.withResolvers<WorkerAnswer>();
  const abort = (): void => reject(signal?.reason as Error);
  signal?.addEventListener('abort', abort, { once: true });
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', (code) => reject(new Error(`worker ended with code ${code}`)));
  try {
    const answer = await promise;
    if ('size' in answer) return answer.size;
    throw answer.restarted ? new WalRestartedError(String(answer.error)) : answer.error;
  } catch (error) {
    // A worker that was stopped half-way has no chance to remove its file.
    await worker.terminate();
    rmSync(job.temporaryPath, { force: true });
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
    await worker.terminate();
  }
}
