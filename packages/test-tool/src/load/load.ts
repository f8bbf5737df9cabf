import { Worker } from 'node:worker_threads';
import { LitestreamError } from '@litestream/core';
import { openDatabase } from '../util/sqlite.ts';
import { createLoadTable } from './operations.ts';
import type { Pattern } from './pattern.ts';
import { SharedState } from './shared.ts';
import type { Counts, WorkerMessage, WorkerOptions } from './shared.ts';

export interface LoadOptions {
  readonly path: string;
  /** Operations per second of all workers together, including reads; 0: as many as possible. */
  readonly writeRate: number;
  readonly durationMs: number;
  readonly pattern: Pattern;
  /** Bytes of the blob in each row. */
  readonly payloadSize: number;
  /** Share of the operations that read, 0 to 1. */
  readonly readRatio: number;
  /** Threads, each with a connection of its own. */
  readonly workerCount: number;
  /** Rows that a write inserts, in one transaction. */
  readonly batchSize: number;
  /** Ends the load early, which is not an error. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Called with the message of the first few failures of each worker. */
  readonly onError?: ((message: string) => void) | undefined;
}

export interface LoadProgress extends Counts {
  readonly elapsedMs: number;
}

export interface LoadResult extends Counts {
  readonly durationMs: number;
}

const PROGRESS_INTERVAL_MS = 200;
const WORKER_COUNT_MAX = 256;

/** Writes to a database and reads from it, for `durationMs`. Uses a table of its own, `load_test`. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  check(options);
  const { path, writeRate, workerCount, signal, onProgress } = options;
  const setup = openDatabase(path);
  try {
    createLoadTable(setup);
  } finally {
    setup.close();
  }
  const shared = SharedState.create(workerCount);
  const workers = Array.from({ length: workerCount }, (_, worker) =>
    startWorker(
      {
        path,
        rate: writeRate / workerCount,
        durationMs: options.durationMs,
        pattern: options.pattern,
        payloadSize: options.payloadSize,
        readRatio: options.readRatio,
        batchSize: options.batchSize,
        worker,
        memory: shared.memory,
      },
      options.onError,
    ),
  );
  const ended = Promise.all(workers.map((worker) => worker.ended));
  const stop = (): void => shared.stop();
  let ticker: NodeJS.Timeout | undefined;
  try {
    await Promise.race([Promise.all(workers.map((worker) => worker.ready)), ended]);
    const startMs = performance.now();
    ticker = setInterval(
      () => onProgress?.({ ...shared.counts, elapsedMs: performance.now() - startMs }),
      PROGRESS_INTERVAL_MS,
    );
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted === true) stop();
    else shared.start();
    await ended;
    return { ...shared.counts, durationMs: performance.now() - startMs };
  } finally {
    clearInterval(ticker);
    signal?.removeEventListener('abort', stop);
    // After one worker failed, the others would continue or wait for the start.
    stop();
    await Promise.allSettled(workers.map((worker) => worker.ended));
  }
}

/** `ready` never rejects; a worker that fails rejects `ended`. */
function startWorker(
  options: WorkerOptions,
  onError: LoadOptions['onError'],
): { readonly ready: Promise<void>; readonly ended: Promise<void> } {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const url = new URL(`./load-worker${extension}`, import.meta.url);
  const worker = new Worker(url, { workerData: options, name: `load-${options.worker}` });
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  worker.on('message', (message: WorkerMessage) => {
    if ('ready' in message) ready.resolve();
    else onError?.(message.error);
  });
  worker.once('error', ended.reject);
  worker.once('exit', () => ended.resolve());
  return { ready: ready.promise, ended: ended.promise };
}

function check(options: LoadOptions): void {
  const { writeRate, durationMs, payloadSize, readRatio, workerCount, batchSize } = options;
  if (!(writeRate >= 0 && writeRate < Infinity)) throw invalid(`write rate must be 0 or more, not ${writeRate}`);
  if (!(durationMs > 0)) throw invalid(`duration must be more than 0, not ${durationMs}`);
  if (!(readRatio >= 0 && readRatio <= 1)) throw invalid(`read ratio must be between 0 and 1, not ${readRatio}`);
  for (const [name, value] of Object.entries({ payloadSize, workerCount, batchSize })) {
    if (!Number.isSafeInteger(value) || value < 1) throw invalid(`${name} must be a whole number from 1, not ${value}`);
  }
  if (workerCount > WORKER_COUNT_MAX) throw invalid(`at most ${WORKER_COUNT_MAX} workers, not ${workerCount}`);
}

function invalid(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'load' });
}
