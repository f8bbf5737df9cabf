import { lockPageNumber } from '../format/constants.ts';
import type { KernelRuntime } from './kernel-runtime.ts';
import { checkPages } from './limits.ts';

/** Checksums and hashes of single pages. */
export class PageKernel {
  readonly #runtime: KernelRuntime;

  constructor(runtime: KernelRuntime) {
    this.#runtime = runtime;
  }

  /** See `Kernel.pageChecksums`. */
  checksums(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): BigUint64Array {
    const { numbersAt, count, dataAt, lockPage, at } = this.#placePages(pgnos, pages, pageSize);
    this.#runtime.wasm.pageChecksums(numbersAt, count, dataAt, pageSize, lockPage, at);
    return this.#copyOf(at, count);
  }

  /** Xor of the pages' checksums: what they contribute to the database checksum, flag aside. */
  checksumsXor(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): bigint {
    const { numbersAt, count, dataAt, lockPage, at } = this.#placePages(pgnos, pages, pageSize);
    return BigInt.asUintN(64, this.#runtime.wasm.pageChecksums(numbersAt, count, dataAt, pageSize, lockPage, at));
  }

  /** See `Kernel.pageHashes`. */
  hashes(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): BigUint64Array {
    const { numbersAt, count, dataAt, lockPage, at } = this.#placePages(pgnos, pages, pageSize);
    this.#runtime.wasm.pageHashes(numbersAt, count, dataAt, pageSize, lockPage, at);
    return this.#copyOf(at, count);
  }

  /** `at`: room for 8 bytes a page. */
  #placePages(
    pgnos: ArrayLike<number>,
    pages: Uint8Array,
    pageSize: number,
  ): { numbersAt: number; count: number; dataAt: number; lockPage: number; at: number } {
    const { memory } = this.#runtime;
    const count = checkPages(pgnos, pages, pageSize);
    const numbers = memory.outsideNumbers(pgnos);
    const data = memory.outside(pages);
    memory.reset();
    const numbersAt = memory.putNumbers(numbers);
    const dataAt = memory.put(data);
    return { numbersAt, count, dataAt, lockPage: lockPageNumber(pageSize), at: memory.reserve(8 * count) };
  }

  #copyOf(at: number, count: number): BigUint64Array {
    return new BigUint64Array(this.#runtime.memory.bytes(at, 8 * count).slice().buffer);
  }
}
