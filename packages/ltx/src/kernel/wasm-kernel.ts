import type { CheckedFrames, DecodedFrames, EncodedFrames, Kernel, WalFrames } from './kernel.ts';
import { FrameKernel } from './frame-kernel.ts';
import type { Place } from './frame-kernel.ts';
import { KernelRuntime } from './kernel-runtime.ts';
import { argument, PIECE_SIZE } from './limits.ts';
import { PageKernel } from './page-kernel.ts';
import { WalKernel } from './wal-kernel.ts';

const LZ4_BLOCK_SIZE_MAX = 1 << 24;
const EMPTY = new Uint8Array(0);

export class WasmKernel implements Kernel {
  readonly #runtime: KernelRuntime = new KernelRuntime();
  readonly #frames: FrameKernel = new FrameKernel(this.#runtime);
  readonly #pages: PageKernel = new PageKernel(this.#runtime);
  readonly #wal: WalKernel = new WalKernel(this.#runtime);

  input(size: number): Uint8Array {
    return this.#runtime.memory.input(size);
  }

  crc64(bytes: Uint8Array, seed = 0n): bigint {
    const { memory } = this.#runtime;
    const data = memory.outside(bytes);
    let crc = seed;
    for (let at = 0; at < data.length; at += PIECE_SIZE) {
      memory.reset();
      const piece = data.subarray(at, at + PIECE_SIZE);
      crc = this.#runtime.wasm.crc64(memory.put(piece), piece.length, crc);
    }
    return BigInt.asUintN(64, crc);
  }

  crc64Combine(a: bigint, b: bigint, bLength: number): bigint {
    if (!Number.isSafeInteger(bLength) || bLength < 0) throw argument(`a length of ${bLength} bytes`);
    return BigInt.asUintN(64, this.#runtime.wasm.crc64Combine(a, b, BigInt(bLength)));
  }

  encodeFrames(
    pgnos: ArrayLike<number>,
    pages: Uint8Array,
    pageSize: number,
    crc: bigint,
    options?: { readonly withPageHashes?: boolean },
  ): EncodedFrames {
    return this.#frames.encode(pgnos, pages, pageSize, crc, options);
  }

  decodeFrames(
    src: Uint8Array,
    pageSize: number,
    crc: bigint,
    pageCountMax?: number,
    { withPageHashes = false }: { readonly withPageHashes?: boolean } = {},
  ): DecodedFrames {
    return this.#frames.decode(src, pageSize, crc, pageCountMax, { offset: 0 }, withPageHashes);
  }

  /** `decodeFrames` for a piece of a named file: `place` says where `src` stands in which file, for errors. */
  decodeFramesOf(
    src: Uint8Array,
    pageSize: number,
    crc: bigint,
    pageCountMax: number | undefined,
    place: Place,
  ): DecodedFrames {
    return this.#frames.decode(src, pageSize, crc, pageCountMax, place);
  }

  /** See `FrameKernel.check`. */
  checkFramesOf(
    src: Uint8Array,
    pageSize: number,
    crc: bigint,
    options: { readonly countMax: number; readonly withPageChecksums: boolean },
    place: Place,
  ): CheckedFrames {
    return this.#frames.check(src, pageSize, crc, options, place);
  }

  /** The running file checksum over frames of which `checkFramesOf` knows the checksums. */
  appendChecked(checksums: BigUint64Array, kinds: Uint8Array, pageSize: number, crc: bigint): bigint {
    return this.#frames.appendChecked(checksums, kinds, pageSize, crc);
  }

  /** The running file checksum over frames that are compressed already and the pages they hold. */
  checksumFrames(
    pgnos: ArrayLike<number>,
    sizes: ArrayLike<number>,
    frames: Uint8Array,
    pages: Uint8Array,
    pageSize: number,
    crc: bigint,
  ): bigint {
    return this.#frames.checksum(pgnos, sizes, frames, pages, pageSize, crc);
  }

  decodeLz4Block(block: Uint8Array, sizeMax: number, history: Uint8Array = EMPTY): Uint8Array | undefined {
    // A run of length bytes in the block must not overflow 32 bits.
    if (block.length >= LZ4_BLOCK_SIZE_MAX) throw argument(`an LZ4 block of ${block.length} bytes`);
    const { memory } = this.#runtime;
    const [data, before] = [memory.outside(block), memory.outside(history)];
    memory.reset();
    const dataAt = memory.put(data);
    const baseAt = memory.reserve(before.length + sizeMax);
    memory.bytes(baseAt, before.length).set(before);
    const outAt = baseAt + before.length;
    const end = this.#runtime.wasm.decodeBlock(dataAt, data.length, outAt, outAt + sizeMax, baseAt);
    return end === 0 ? undefined : memory.bytes(outAt, end - outAt);
  }

  walChecksum(bytes: Uint8Array, bigEndian: boolean, s0: number, s1: number): { s0: number; s1: number } {
    return this.#wal.checksum(bytes, bigEndian, s0, s1);
  }

  walFrames(
    bytes: Uint8Array,
    pageSize: number,
    bigEndian: boolean,
    salt1: number,
    salt2: number,
    s0: number,
    s1: number,
  ): WalFrames {
    return this.#wal.frames(bytes, pageSize, bigEndian, salt1, salt2, s0, s1);
  }

  pageChecksums(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): BigUint64Array {
    return this.#pages.checksums(pgnos, pages, pageSize);
  }

  /** Xor of the pages' checksums: what they contribute to the database checksum, flag aside. */
  pageChecksumsXor(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): bigint {
    return this.#pages.checksumsXor(pgnos, pages, pageSize);
  }

  pageHashes(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): BigUint64Array {
    return this.#pages.hashes(pgnos, pages, pageSize);
  }
}

let instance: WasmKernel | undefined;

/** The one kernel of this thread. */
export function wasmKernel(): WasmKernel {
  instance ??= new WasmKernel();
  return instance;
}

/** The kernel of this thread, made on first use. */
export function kernel(): Kernel {
  return wasmKernel();
}
