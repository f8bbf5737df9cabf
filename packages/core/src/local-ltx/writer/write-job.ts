import { closeSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { createFile } from '../../files/safe-files.ts';
import type { PageScan } from '../../pages/page-source.ts';
import { WalRestartedError } from '../../pages/page-source.ts';
import type { Steps } from '../../util/cooperative.ts';
import { runBlocking } from '../../util/cooperative.ts';
import type { LtxJob } from './write-ltx.ts';
import { writeLtx } from './write-ltx.ts';
import { pagesWritten, shareJob, shareProgress } from './write-parallel.ts';
import type { SharedProgress } from './write-parallel.ts';
import { startWorker, workerScript } from '../../own-files/worker-script.ts';

/** From this many bytes of pages on, a worker makes the file: fewer are done before a worker has started. */
const WORKER_SIZE_MIN = 8 * 1024 * 1024;
/** From this many bytes on, several workers make it. */
const PARALLEL_SIZE_MIN = 64 * 1024 * 1024;
const WORKER_COUNT_MAX = 4;
const PROGRESS_INTERVAL_MS = 100;

/** Progress of a large file, above all a snapshot, in bytes of database pages. */
export interface WriteProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/**
 * Called from time to time while a large file is made, and once with undefined when that has succeeded or failed. Must
 * not throw.
 */
export type OnWriteProgress = (progress: WriteProgress | undefined) => void;

/** The input of a worker. */
export type WorkerTask = WriteTask | SumTask;

export interface WriteTask {
  readonly job: LtxJob;
  /** Set if several workers make one file. */
  readonly part?: { readonly progress: SharedProgress; readonly isFirst: boolean };
}

/** Fill in the checksums of these pages. */
export interface SumTask {
  readonly scan: PageScan;
  /** Shared. */
  readonly checksums: BigUint64Array;
}

/** What the worker answers. */
export type WorkerAnswer = { readonly size: number } | { readonly error: unknown; readonly restarted: boolean };

/** Makes the file, in workers if it is big and there is time for that. Returns its size in bytes. */
export function* writeAnywhere(job: LtxJob, onProgress?: OnWriteProgress): Steps<number> {
  if (job.list.pgnos.length * job.header.pageSize < WORKER_SIZE_MIN) return yield* writeLtx(job);
  return (yield {
    now: () => runBlocking(writeLtx(job)),
    cooperatively: (signal) => writeInWorkers(job, signal, onProgress),
  }) as number;
}

function tasksOf(job: LtxJob): readonly WriteTask[] {
  const count = Math.min(WORKER_COUNT_MAX, availableParallelism());
  if (job.list.pgnos.length * job.header.pageSize < PARALLEL_SIZE_MIN) return [{ job }];
  const shared = shareJob(job);
  const progress = shareProgress(shared);
  closeSync(createFile(job.temporaryPath, job.ownership));
  return Array.from({ length: count }, (_, i) => ({ job: shared, part: { progress, isFirst: i === 0 } }));
}

/**
 * Workers read through descriptors that this thread opened and keeps. They must not open the database or `-shm`
 * themselves: files that a worker opened are closed when it ends, which drops SQLite's locks.
 */
async function writeInWorkers(
  job: LtxJob,
  signal: AbortSignal | undefined,
  onProgress: OnWriteProgress | undefined,
): Promise<number> {
  signal?.throwIfAborted();
  const tasks = tasksOf(job);
  const endReports = reportProgress(job, tasks[0]?.part?.progress, onProgress);
  try {
    return Math.max(...(await runInWorkers(tasks, signal)));
  } catch (error) {
    // Workers that are stopped half-way have no chance to remove their file.
    rmSync(job.temporaryPath, { force: true });
    throw error;
  } finally {
    endReports();
  }
}

/** Fills in the checksums of the pages, each worker those of a part. */
export async function sumInWorkers({ scan, checksums }: SumTask, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const { pgnos, walOffsets } = scan.list;
  const count = Math.min(WORKER_COUNT_MAX, availableParallelism());
  const size = Math.ceil(pgnos.length / count);
  const tasks = Array.from({ length: count }, (_, i): SumTask => {
    const [from, to] = [i * size, (i + 1) * size];
    const list = { pgnos: pgnos.slice(from, to), walOffsets: walOffsets.slice(from, to) };
    return { scan: { source: scan.source, list }, checksums: checksums.subarray(from, to) };
  });
  await runInWorkers(tasks, signal);
}

/** Resolves when all workers have succeeded; rejects with the first failure once all have ended. */
async function runInWorkers(tasks: readonly WorkerTask[], signal: AbortSignal | undefined): Promise<readonly number[]> {
  const script = await workerScript('write');
  signal?.throwIfAborted();
  const workers = tasks.map((workerData) => startWorker(script, { workerData }));
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal?.reason as Error);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([Promise.all(workers.map(sizeFrom)), aborted.promise]);
  } finally {
    signal?.removeEventListener('abort', abort);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** Returns a function that ends it. */
function reportProgress(
  job: LtxJob,
  progress: SharedProgress | undefined,
  onProgress: OnWriteProgress | undefined,
): () => void {
  if (progress === undefined || onProgress === undefined) return () => undefined;
  const { pageSize } = job.header;
  const bytesTotal = job.list.pgnos.length * pageSize;
  const report = (): void => onProgress({ bytesDone: pagesWritten(progress) * pageSize, bytesTotal });
  report();
  const timer = setInterval(report, PROGRESS_INTERVAL_MS);
  return () => {
    clearInterval(timer);
    onProgress(undefined);
  };
}

async function sizeFrom(worker: Worker): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<WorkerAnswer>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', (code) => reject(new Error(`worker ended with code ${code}`)));
  const answer = await promise;
  if ('size' in answer) return answer.size;
  throw answer.restarted ? new WalRestartedError(String(answer.error)) : answer.error;
}
