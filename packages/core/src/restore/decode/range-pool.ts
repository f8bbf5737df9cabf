/** Decodes ranges: on this thread for a small restore, in worker threads for others. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { LtxError } from '@litestream/ltx';
import type { LtxErrorCode } from '@litestream/ltx';
import { RangeDecoder } from './range-decoder.ts';
import type { RangeFailure, RangeResult, RangeTask, WorkerReply, WorkerRequest } from './range-task.ts';
import { WriteLock } from './write-lock.ts';
import { startWorker, workerScript } from '../../own-files/worker-script.ts';
import type { WorkerScript } from '../../own-files/worker-script.ts';

export interface RangePool extends AsyncDisposable {
  /** How many tasks can make progress at once. */
  readonly parallelism: number;
  /** Rejects with an `LtxError` or a system error. The task's buffers are transferred, and unusable afterwards. */
  run(task: RangeTask): Promise<RangeResult>;
}

/** Decodes on this thread, and lets the event loop turn between ranges. */
export class InlinePool implements RangePool {
  readonly parallelism = 1;
  readonly #decoder = new RangeDecoder();

  async run(task: RangeTask): Promise<RangeResult> {
    await nextTurn();
    return this.#decoder.decode(task);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#decoder.close();
  }
}

interface Pending {
  readonly request: WorkerRequest;
  readonly resolve: (result: RangeResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Decodes in worker threads, one range each at a time. Disposing it stops them all and waits for their end. */
export class WorkerPool implements RangePool {
  readonly parallelism: number;
  readonly #lock = new WriteLock();
  readonly #workers: Worker[];
  readonly #idle: Worker[];
  readonly #queue: Pending[] = [];
  readonly #running = new Map<Worker, Pending>();
  #error: Error | undefined;
  #id = 0;

  static async start(parallelism: number): Promise<WorkerPool> {
    return new WorkerPool(parallelism, await workerScript('restore'));
  }

  private constructor(parallelism: number, script: WorkerScript) {
    this.parallelism = parallelism;
    this.#workers = Array.from({ length: parallelism }, () => this.#start(script));
    this.#idle = [...this.#workers];
  }

  #start(script: WorkerScript): Worker {
    const worker = startWorker(script, { name: 'litestream-restore', workerData: this.#lock.buffer });
    worker.on('message', (reply: WorkerReply) => this.#settle(worker, reply));
    worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => this.#fail(new Error('a restore worker ended early')));
    return worker;
  }

  run(task: RangeTask): Promise<RangeResult> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) {
        reject(this.#error);
        return;
      }
      this.#queue.push({ request: { id: this.#id++, task }, resolve, reject });
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#idle.length > 0) {
      const next = this.#queue.shift();
      const worker = next === undefined ? undefined : this.#idle.pop();
      if (next === undefined || worker === undefined) return;
      this.#running.set(worker, next);
      const { source, pgnos, sizes, owned } = next.request.task;
      const buffers = [pgnos.buffer, sizes.buffer, owned.buffer] as ArrayBuffer[];
      if (source instanceof Uint8Array) buffers.push(source.buffer);
      worker.postMessage(next.request, buffers);
    }
  }

  #settle(worker: Worker, reply: WorkerReply): void {
    const pending = this.#running.get(worker);
    this.#running.delete(worker);
    this.#idle.push(worker);
    if ('result' in reply) pending?.resolve(reply.result);
    else pending?.reject(errorOf(reply.failure));
    this.#dispatch();
  }

  #fail(error: Error): void {
    this.#error ??= error;
    for (const pending of [...this.#running.values(), ...this.#queue]) pending.reject(this.#error);
    this.#running.clear();
    this.#queue.length = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#error ??= new Error('the restore has ended');
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

function errorOf(failure: RangeFailure): Error {
  if (failure.isLtx) return new LtxError(failure.code as LtxErrorCode, failure.message);
  return Object.assign(new Error(failure.message), { code: failure.code, syscall: failure.syscall });
}
