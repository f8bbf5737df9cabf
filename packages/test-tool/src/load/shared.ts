/** Memory that the main thread and the workers of a load share, so that neither waits for the other's event loop. */
import type { Pattern } from './pattern.ts';

export const MESSAGE_COUNT_MAX = 5;
const COUNTER_COUNT = 3;

export interface WorkerOptions {
  readonly path: string;
  /** Operations per second of this worker; 0: as many as possible. */
  readonly rate: number;
  readonly durationMs: number;
  readonly pattern: Pattern;
  readonly payloadSize: number;
  readonly readRatio: number;
  readonly batchSize: number;
  readonly worker: number;
  readonly memory: SharedArrayBuffer;
}

/** Messages of a worker: it is ready, or an operation failed (the first few times). */
export type WorkerMessage = { readonly ready: true } | { readonly error: string };

export interface Counts {
  /** Write transactions committed. */
  readonly writes: number;
  readonly reads: number;
  readonly errors: number;
}

const WAITING = 0;
const RUNNING = 1;
const STOPPED = 2;

export class SharedState {
  readonly memory: SharedArrayBuffer;
  readonly #signal: Int32Array;
  readonly #counters: BigInt64Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#signal = new Int32Array(memory, 0, 1);
    this.#counters = new BigInt64Array(memory, 8);
  }

  static create(workerCount: number): SharedState {
    return new SharedState(new SharedArrayBuffer(8 + workerCount * COUNTER_COUNT * 8));
  }

  get stopped(): boolean {
    return Atomics.load(this.#signal, 0) === STOPPED;
  }

  start(): void {
    this.#set(RUNNING);
  }

  stop(): void {
    this.#set(STOPPED);
  }

  #set(state: number): void {
    Atomics.store(this.#signal, 0, state);
    Atomics.notify(this.#signal, 0);
  }

  /** Blocks the thread until the load starts or stops. */
  waitForStart(): void {
    Atomics.wait(this.#signal, 0, WAITING);
  }

  /** Blocks the thread for this long, or until a stop. */
  sleep(durationMs: number): void {
    Atomics.wait(this.#signal, 0, RUNNING, durationMs);
  }

  /** Each worker has its own counters, so storing the sum is enough. */
  publish(worker: number, { writes, reads, errors }: Counts): void {
    const values = [writes, reads, errors];
    for (const [counter, value] of values.entries()) {
      Atomics.store(this.#counters, worker * COUNTER_COUNT + counter, BigInt(value));
    }
  }

  /** Sums over all workers. */
  get counts(): Counts {
    const sums = [0, 0, 0];
    for (let at = 0; at < this.#counters.length; at += 1) {
      sums[at % COUNTER_COUNT] = (sums[at % COUNTER_COUNT] ?? 0) + Number(Atomics.load(this.#counters, at));
    }
    const [writes = 0, reads = 0, errors = 0] = sums;
    return { writes, reads, errors };
  }
}
