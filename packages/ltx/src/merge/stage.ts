import type { PageBatch } from '../decoder.ts';
import { frameSizeMax } from '../kernel/wasm-kernel.ts';

const STAGE_SIZE = 256 * 1024;

/** Gathers pages of many inputs into batches for the encoder. */
export class Stage {
  readonly #pageSize: number;
  readonly #capacity: number;
  readonly #pgnos: Uint32Array;
  readonly #sizes: Uint32Array;
  readonly #pages: Uint8Array;
  readonly #frameCapacity: number;
  #frames: Uint8Array;
  #count = 0;
  #frameSize = 0;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
    this.#capacity = Math.max(1, Math.floor(STAGE_SIZE / pageSize));
    this.#pgnos = new Uint32Array(this.#capacity);
    this.#sizes = new Uint32Array(this.#capacity);
    this.#pages = new Uint8Array(this.#capacity * pageSize);
    this.#frameCapacity = Math.max(STAGE_SIZE, frameSizeMax(pageSize));
    this.#frames = new Uint8Array(this.#frameCapacity);
  }

  /** Pages that still fit. */
  get room(): number {
    return this.#capacity - this.#count;
  }

  /** Bytes of frames that still fit. */
  get frameRoom(): number {
    return this.#frameCapacity - this.#frameSize;
  }

  /** Copies pages in; they must fit. */
  add(batch: PageBatch): void {
    this.#pgnos.set(batch.pgnos, this.#count);
    this.#sizes.set(batch.sizes, this.#count);
    this.#pages.set(batch.pages, this.#count * this.#pageSize);
    this.#frames.set(batch.frames, this.#frameSize);
    this.#count += batch.pgnos.length;
    this.#frameSize += batch.frames.length;
  }

  /** What was gathered, and starts anew. The frames are the receiver's; the rest is a view valid until the next `add`. */
  take(): PageBatch {
    const frames = this.#frames;
    const batch = {
      pgnos: this.#pgnos.subarray(0, this.#count),
      sizes: this.#sizes.subarray(0, this.#count),
      frames: frames.subarray(0, this.#frameSize),
      pages: this.#pages.subarray(0, this.#count * this.#pageSize),
    };
    this.#frames = new Uint8Array(this.#frameCapacity);
    this.#count = 0;
    this.#frameSize = 0;
    return batch;
  }
}
