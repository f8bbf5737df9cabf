import type { FrameBatch } from '../codec/decoder.ts';
import { frameSizeMax } from '../kernel/limits.ts';

const STAGE_SIZE = 256 * 1024;
const COUNT_MAX = 4096;

/** Gathers frames of many inputs into batches for the encoder. */
export class Stage {
  readonly #pgnos = new Uint32Array(COUNT_MAX);
  readonly #sizes = new Uint32Array(COUNT_MAX);
  readonly #checksums = new BigUint64Array(COUNT_MAX);
  readonly #kinds = new Uint8Array(COUNT_MAX);
  readonly #frameCapacity: number;
  #frames: Uint8Array;
  #count = 0;
  #frameSize = 0;

  constructor(pageSize: number) {
    this.#frameCapacity = Math.max(STAGE_SIZE, frameSizeMax(pageSize));
    this.#frames = new Uint8Array(this.#frameCapacity);
  }

  /** Copies one frame into the stage; false if it does not fit. */
  add(batch: FrameBatch, index: number, frameAt: number): boolean {
    const size = batch.sizes[index] ?? 0;
    const at = this.#count;
    if (at === COUNT_MAX || this.#frameSize + size > this.#frameCapacity) return false;
    this.#pgnos[at] = batch.pgnos[index] ?? 0;
    this.#sizes[at] = size;
    this.#checksums[at] = batch.checksums[index] ?? 0n;
    this.#kinds[at] = batch.kinds[index] ?? 0;
    this.#frames.set(batch.frames.subarray(frameAt, frameAt + size), this.#frameSize);
    this.#count += 1;
    this.#frameSize += size;
    return true;
  }

  /**
   * Returns the gathered frames, and empties the stage. The caller owns `frames`; the other arrays are views that are
   * valid until the next `add`.
   */
  take(): FrameBatch {
    const count = this.#count;
    const batch = {
      pgnos: this.#pgnos.subarray(0, count),
      sizes: this.#sizes.subarray(0, count),
      checksums: this.#checksums.subarray(0, count),
      kinds: this.#kinds.subarray(0, count),
      frames: this.#frames.subarray(0, this.#frameSize),
    };
    this.#frames = new Uint8Array(this.#frameCapacity);
    this.#count = 0;
    this.#frameSize = 0;
    return batch;
  }
}
