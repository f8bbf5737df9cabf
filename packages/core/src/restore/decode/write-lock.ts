/**
 * One writer of the output at a time, among threads that share memory. The kernel serialises writes to one file anyway,
 * by spinning: two workers without this lock burn up to five times the CPU of one.
 */
export class WriteLock {
  readonly buffer: SharedArrayBuffer;
  readonly #state: Int32Array;

  /** A new lock, or the one that another thread shares through `buffer`. */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#state = new Int32Array(buffer);
  }

  /** Blocks the thread until it is its turn: never call this on a main thread. */
  hold(work: () => void): void {
    let state = Atomics.compareExchange(this.#state, 0, FREE, HELD);
    while (state !== FREE) {
      if (state === WAITED_FOR || Atomics.compareExchange(this.#state, 0, HELD, WAITED_FOR) !== FREE) {
        Atomics.wait(this.#state, 0, WAITED_FOR);
      }
      // Other threads may wait too, so the lock is marked as waited for.
      state = Atomics.compareExchange(this.#state, 0, FREE, WAITED_FOR);
    }
    try {
      work();
    } finally {
      if (Atomics.exchange(this.#state, 0, FREE) === WAITED_FOR) Atomics.notify(this.#state, 0, 1);
    }
  }
}

const FREE = 0;
const HELD = 1;
const WAITED_FOR = 2;
