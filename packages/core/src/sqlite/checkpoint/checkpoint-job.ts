/** A checkpoint that takes long, in a worker thread: the event loop serves other databases meanwhile. */
import type { Worker } from 'node:worker_threads';
import type { WorkerLibrary } from '../driver/sqlite-driver.ts';
import type { CheckpointResult } from './checkpoint-call.ts';
import { Mutex } from '../../util/mutex.ts';
import type { OpenedFile } from '../database-file/open-same.ts';
import { startWorker, workerScript } from '../../own-files/worker-script.ts';

/** Input of the worker. */
export interface CheckpointTask {
  readonly path: string;
  readonly file: OpenedFile;
  readonly library: WorkerLibrary;
}

/** Answer of the worker. An Error object would lose its codes in a message. */
export type CheckpointAnswer =
  | { readonly result: CheckpointResult }
  | { readonly failure: { readonly message: string; readonly code?: unknown; readonly errcode?: unknown } }
  /** The worker could not load the library, or ended early. */
  | { readonly unavailable: string };

/** One worker at a time in a process: several would compete for the same disk. */
const turns = new Mutex();

/**
 * One PASSIVE checkpoint, by a separate connection, which is closed when this resolves. Undefined if the worker could
 * not run it: then the caller runs it on this thread. Rejects with SQLite's error.
 *
 * A signal ends the wait for a turn. A running checkpoint cannot be interrupted: this waits for its end.
 */
export function checkpointInWorker(task: CheckpointTask, signal?: AbortSignal): Promise<CheckpointResult | undefined> {
  return turns.run(async () => {
    const answer = await answerTo(task);
    if ('unavailable' in answer) return undefined;
    if ('result' in answer) return answer.result;
    const { message, ...codes } = answer.failure;
    throw Object.assign(new Error(message), codes);
  }, signal);
}

/** Resolves once the worker has ended. */
async function answerTo(workerData: CheckpointTask): Promise<CheckpointAnswer> {
  const { promise, resolve } = Promise.withResolvers<CheckpointAnswer>();
  let answer: CheckpointAnswer = { unavailable: 'the worker ended without an answer' };
  let worker: Worker;
  try {
    worker = startWorker(await workerScript('checkpoint'), { workerData });
  } catch (error) {
    return { unavailable: String(error) };
  }
  worker.once('message', (message: CheckpointAnswer) => (answer = message));
  worker.once('error', (error) => (answer = { unavailable: String(error) }));
  worker.once('exit', () => resolve(answer));
  return await promise;
}
