import { LtxError } from '../format/error.ts';
import type { KernelExports } from './instance.ts';

/** The kernel copies 16 bytes at a time and may access this many bytes past an area. */
const SLACK = 64;
const WASM_PAGE = 65536;

/**
 * Allocates the areas of one call in the memory of the kernel, from its base up. Each call starts at the base, so
 * results are valid until the next. Growing detaches all views, so an area's address is reserved first, and its view is
 * created afterwards.
 */
export class KernelMemory {
  readonly #exports: KernelExports;
  readonly #base: number;
  #top: number;

  constructor(exports: KernelExports) {
    this.#exports = exports;
    this.#base = exports.heapBase();
    this.#top = this.#base;
  }

  /** Starts a call: earlier areas may be overwritten. */
  reset(): void {
    this.#top = this.#base;
  }

  /** An area at the base for the caller to fill: the next call does not copy data that is there. */
  input(bytes: number): Uint8Array {
    this.reset();
    return this.bytes(this.reserve(bytes), bytes);
  }

  /** Starts a call on `data`, which is not copied if it is at the base: all other areas come after it. */
  begin(data: Uint8Array): number {
    const { length } = data;
    const inPlace = data.buffer === this.#exports.memory.buffer && data.byteOffset === this.#base;
    const own = inPlace ? undefined : this.outside(data);
    this.reset();
    const at = this.reserve(length);
    if (own !== undefined) new Uint8Array(this.#exports.memory.buffer, at, length).set(own);
    return at;
  }

  /** Reserves an area, 64-byte aligned. */
  reserve(bytes: number): number {
    const at = this.#top;
    const top = Math.ceil((at + bytes + SLACK) / SLACK) * SLACK;
    const missing = top + SLACK - this.#exports.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.#exports.memory.grow(Math.ceil(missing / WASM_PAGE));
      } catch (cause) {
        throw new LtxError('INVALID_ARGUMENT', `a batch of ${bytes} bytes does not fit the kernel's memory`, { cause });
      }
    }
    this.#top = top;
    return at;
  }

  /** Reserves an area and copies `bytes` there. */
  put(bytes: Uint8Array): number {
    const at = this.reserve(bytes.length);
    new Uint8Array(this.#exports.memory.buffer, at, bytes.length).set(bytes);
    return at;
  }

  /** Reserves an area of u32 and copies numbers there. */
  putNumbers(numbers: ArrayLike<number>): number {
    const at = this.reserve(4 * numbers.length);
    new Uint32Array(this.#exports.memory.buffer, at, numbers.length).set(numbers);
    return at;
  }

  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#exports.memory.buffer, at, length);
  }

  numbers(at: number, length: number): Uint32Array {
    return new Uint32Array(this.#exports.memory.buffer, at, length);
  }

  checksums(at: number, count: number): BigUint64Array {
    return new BigUint64Array(this.#exports.memory.buffer, at, count);
  }

  view(at: number, length: number): DataView {
    return new DataView(this.#exports.memory.buffer, at, length);
  }

  /** The argument itself, or a copy if it is a view of this memory, which the call will overwrite. */
  outside(data: Uint8Array): Uint8Array {
    return data.buffer === this.#exports.memory.buffer ? data.slice() : data;
  }

  /** The same for numbers, which need not be a view at all. */
  outsideNumbers(data: ArrayLike<number>): ArrayLike<number> {
    const inside = ArrayBuffer.isView(data) && data.buffer === this.#exports.memory.buffer;
    return inside ? Array.from(data) : data;
  }
}
