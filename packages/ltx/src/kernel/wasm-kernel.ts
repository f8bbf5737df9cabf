import { lockPageNumber } from '../format/constants.ts';
import { LtxError } from '../format/error.ts';
import { instantiate } from './instance.ts';
import type { KernelExports } from './instance.ts';
import type { CheckedFrames, DecodedFrames, EncodedFrames, Kernel, WalFrames } from './kernel.ts';
import { argument, blockSizeMax, checkPages, checkPageSize, DECODE_FAULTS, frameSizeMax } from './limits.ts';
import { KernelMemory } from './memory.ts';

/** Long inputs of plain checksums go through the kernel in pieces, so that its memory stays small. */
const PIECE_SIZE = 1 << 20;
const PAGES_SIZE_MAX = 16 << 20;
const LZ4_BLOCK_SIZE_MAX = 1 << 24;
const EMPTY = new Uint8Array(0);

/** Where a piece of a file stands, for errors. */
interface Place {
  readonly file?: string | undefined;
  readonly offset: number;
}

export class WasmKernel implements Kernel {
  readonly #wasm: KernelExports;
  readonly #memory: KernelMemory;
  readonly #result: number;

  constructor() {
    this.#wasm = instantiate();
    this.#memory = new KernelMemory(this.#wasm);
    this.#result = this.#wasm.resultBase();
  }

  input(size: number): Uint8Array {
    return this.#memory.input(size);
  }

  crc64(bytes: Uint8Array, seed = 0n): bigint {
    const memory = this.#memory;
    const data = memory.outside(bytes);
    let crc = seed;
    for (let at = 0; at < data.length; at += PIECE_SIZE) {
      memory.reset();
      const piece = data.subarray(at, at + PIECE_SIZE);
      crc = this.#wasm.crc64(memory.put(piece), piece.length, crc);
    }
    return BigInt.asUintN(64, crc);
  }

  crc64Combine(a: bigint, b: bigint, bLength: number): bigint {
    if (!Number.isSafeInteger(bLength) || bLength < 0) throw argument(`a length of ${bLength} bytes`);
    return BigInt.asUintN(64, this.#wasm.crc64Combine(a, b, BigInt(bLength)));
  }

  encodeFrames(
    pgnos: ArrayLike<number>,
    pages: Uint8Array,
    pageSize: number,
    crc: bigint,
    { withPageHashes = false }: { readonly withPageHashes?: boolean } = {},
  ): EncodedFrames {
    const memory = this.#memory;
    const count = checkPages(pgnos, pages, pageSize);
    const numbers = memory.outsideNumbers(pgnos);
    const dataAt = memory.begin(pages);
    const numbersAt = memory.putNumbers(numbers);
    const sizesAt = memory.reserve(4 * count);
    const sumsAt = withPageHashes ? memory.reserve(8 * count) : 0;
    const outAt = memory.reserve(count * (blockSizeMax(pageSize) + 10));
    this.#setCrc(crc);
    const length = this.#wasm.encodeFrames(numbersAt, count, dataAt, pageSize, outAt, sizesAt, sumsAt);
    return {
      frames: memory.bytes(outAt, length),
      sizes: memory.numbers(sizesAt, count),
      crc: this.#crc(),
      pageHashes: memory.checksums(sumsAt, withPageHashes ? count : 0).slice(),
    };
  }

  decodeFrames(
    src: Uint8Array,
    pageSize: number,
    crc: bigint,
    pageCountMax?: number,
    { withPageHashes = false }: { readonly withPageHashes?: boolean } = {},
  ): DecodedFrames {
    return this.decodeFramesOf(src, pageSize, crc, pageCountMax, { offset: 0 }, withPageHashes);
  }

  /** `decodeFrames` for a piece of a named file: `place` says where `src` stands in which file, for errors. */
  decodeFramesOf(
    src: Uint8Array,
    pageSize: number,
    crc: bigint,
    pageCountMax: number | undefined,
    place: Place,
    withPageHashes = false,
  ): DecodedFrames {
    checkPageSize(pageSize);
    const memory = this.#memory;
    // A frame has 11 bytes at least, so a small source cannot ask for much.
    const countMax = Math.min(
      pageCountMax ?? Math.ceil(PAGES_SIZE_MAX / pageSize),
      Math.ceil(PAGES_SIZE_MAX / pageSize),
      Math.ceil(src.length / 11),
    );
    const length = Math.min(src.length, Math.max(countMax * frameSizeMax(pageSize), 6));
    const dataAt = memory.begin(src.subarray(0, length));
    const pgnosAt = memory.reserve(4 * countMax);
    const sizesAt = memory.reserve(4 * countMax);
    const sumsAt = withPageHashes ? memory.reserve(8 * countMax) : 0;
    const outAt = memory.reserve(countMax * pageSize);
    this.#setCrc(crc);
    const count = this.#wasm.decodeFrames(
      dataAt,
      length,
      pageSize,
      blockSizeMax(pageSize),
      countMax,
      outAt,
      pgnosAt,
      sizesAt,
      0,
      0,
      0,
      sumsAt,
    );
    const result = memory.view(this.#result, 20);
    const { consumed, endOfPages } = this.#consumed(count, { length, countMax, pageSize }, place);
    return {
      count,
      consumed,
      pgnos: memory.numbers(pgnosAt, count),
      sizes: memory.numbers(sizesAt, count),
      pages: memory.bytes(outAt, count * pageSize),
      crc: this.#crc(),
      endOfPages,
      crcLength: result.getUint32(16, true),
      pageHashes: memory.checksums(sumsAt, withPageHashes ? count : 0),
    };
  }

  /**
   * `decodeFramesOf` for who needs no pages: decodes each, verifies it and forgets it. With `withPageChecksums`, the xor
   * of the pages' own checksums is known afterwards.
   */
  checkFramesOf(
    src: Uint8Array,
    pageSize: number,
    crc: bigint,
    options: { readonly countMax: number; readonly withPageChecksums: boolean },
    place: Place,
  ): CheckedFrames {
    const { countMax, withPageChecksums } = options;
    const { length } = src;
    const checked = this.#check(this.#memory.begin(src), length, countMax, pageSize, crc, withPageChecksums);
    const { count } = checked;
    const { consumed, endOfPages } = this.#consumed(count, { length, countMax, pageSize }, place);
    return {
      count,
      consumed,
      pgnos: checked.pgnos.slice(),
      sizes: checked.sizes.slice(),
      checksums: checked.checksums.slice(),
      kinds: checked.kinds.slice(),
      pageChecksums: checked.pageChecksums,
      crc: this.#crc(),
      endOfPages,
    };
  }

  /** Checks frames that stand in the kernel's memory. Everything returned is a view. */
  #check(
    dataAt: number,
    length: number,
    countMax: number,
    pageSize: number,
    crc: bigint,
    withPageChecksums: boolean,
  ): {
    count: number;
    pgnos: Uint32Array;
    sizes: Uint32Array;
    checksums: BigUint64Array;
    kinds: Uint8Array;
    pageChecksums: bigint;
  } {
    checkPageSize(pageSize);
    const memory = this.#memory;
    const pgnosAt = memory.reserve(4 * countMax);
    const sizesAt = memory.reserve(4 * countMax);
    const checksumsAt = memory.reserve(8 * countMax);
    const kindsAt = memory.reserve(countMax);
    const pageAt = memory.reserve(pageSize);
    this.#setCrc(crc);
    const count = this.#wasm.decodeFrames(
      dataAt,
      length,
      pageSize,
      blockSizeMax(pageSize),
      countMax,
      pageAt,
      pgnosAt,
      sizesAt,
      checksumsAt,
      kindsAt,
      withPageChecksums ? 1 : 0,
      0,
    );
    return {
      count,
      pgnos: memory.numbers(pgnosAt, count),
      sizes: memory.numbers(sizesAt, count),
      checksums: memory.checksums(checksumsAt, count),
      kinds: memory.bytes(kindsAt, count),
      pageChecksums: memory.view(this.#result, 32).getBigUint64(24, true),
    };
  }

  /** The running file checksum over frames of which `checkFramesOf` knows the checksums. */
  appendChecked(checksums: BigUint64Array, kinds: Uint8Array, pageSize: number, crc: bigint): bigint {
    const memory = this.#memory;
    memory.reset();
    const checksumsAt = memory.put(new Uint8Array(checksums.buffer, checksums.byteOffset, checksums.byteLength));
    const kindsAt = memory.put(kinds);
    this.#setCrc(crc);
    this.#wasm.appendChecked(checksumsAt, kindsAt, checksums.length, pageSize);
    return this.#crc();
  }

  /** What the last call over frames consumed; throws if it met a malformed one. */
  #consumed(
    count: number,
    asked: { readonly length: number; readonly countMax: number; readonly pageSize: number },
    place: Place,
  ): { consumed: number; endOfPages: boolean } {
    const result = this.#memory.view(this.#result, 16);
    const consumed = result.getUint32(8, true);
    const state = result.getUint32(12, true);
    const isStuck = count === 0 && asked.countMax > 0 && asked.length - consumed >= frameSizeMax(asked.pageSize);
    if (state > 1 || (state === 0 && isStuck)) {
      const fault = state > 1 ? DECODE_FAULTS[state - 2] : 'LZ4 frame longer than any page needs';
      throw new LtxError('BAD_PAGE', `${fault}`, { file: place.file, offset: place.offset + consumed });
    }
    return { consumed, endOfPages: state === 1 };
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
    const memory = this.#memory;
    const count = checkPages(pgnos, pages, pageSize);
    let total = 0;
    for (let i = 0; i < sizes.length; i += 1) total += sizes[i] ?? 0;
    if (sizes.length !== count || total !== frames.length) throw argument('frames that do not fit their sizes');
    const own = [
      memory.outsideNumbers(pgnos),
      memory.outsideNumbers(sizes),
      memory.outside(frames),
      memory.outside(pages),
    ] as const;
    memory.reset();
    const pgnosAt = memory.putNumbers(own[0]);
    const sizesAt = memory.putNumbers(own[1]);
    const framesAt = memory.put(own[2]);
    const pagesAt = memory.put(own[3]);
    this.#setCrc(crc);
    const bad = this.#wasm.checksumFrames(framesAt, sizesAt, pgnosAt, count, pagesAt, pageSize);
    if (bad >= 0) throw argument(`a frame whose header does not fit page ${pgnos[bad]}`);
    return this.#crc();
  }

  decodeLz4Block(block: Uint8Array, sizeMax: number, history: Uint8Array = EMPTY): Uint8Array | undefined {
    // A run of length bytes in the block must not overflow 32 bits.
    if (block.length >= LZ4_BLOCK_SIZE_MAX) throw argument(`an LZ4 block of ${block.length} bytes`);
    const memory = this.#memory;
    const [data, before] = [memory.outside(block), memory.outside(history)];
    memory.reset();
    const dataAt = memory.put(data);
    const baseAt = memory.reserve(before.length + sizeMax);
    memory.bytes(baseAt, before.length).set(before);
    const outAt = baseAt + before.length;
    const end = this.#wasm.decodeBlock(dataAt, data.length, outAt, outAt + sizeMax, baseAt);
    return end === 0 ? undefined : memory.bytes(outAt, end - outAt);
  }

  walChecksum(bytes: Uint8Array, bigEndian: boolean, s0: number, s1: number): { s0: number; s1: number } {
    if (bytes.length % 8 !== 0) throw argument(`${bytes.length} bytes, which are not whole units of 8`);
    const memory = this.#memory;
    const data = memory.outside(bytes);
    let sums = { s0, s1 };
    for (let at = 0; at < data.length; at += PIECE_SIZE) {
      memory.reset();
      const piece = data.subarray(at, at + PIECE_SIZE);
      this.#wasm.walChecksum(memory.put(piece), piece.length, bigEndian ? 1 : 0, sums.s0, sums.s1);
      const result = memory.view(this.#result, 8);
      sums = { s0: result.getUint32(0, true), s1: result.getUint32(4, true) };
    }
    return sums;
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
    checkPageSize(pageSize);
    const frameSize = 24 + pageSize;
    const total = Math.floor(bytes.length / frameSize);
    const step = Math.max(1, Math.floor(PIECE_SIZE / frameSize));
    const memory = this.#memory;
    // What fits one call may stand in the kernel's memory already.
    const isWhole = total <= step;
    const data = isWhole ? bytes : memory.outside(bytes);
    const pgnos = new Uint32Array(total);
    const commits = new Uint32Array(total);
    let found = { count: 0, s0, s1, lastCommit: -1, commitS0: s0, commitS1: s1 };
    while (found.count < total) {
      const asked = Math.min(step, total - found.count);
      const piece = data.subarray(found.count * frameSize, (found.count + asked) * frameSize);
      const at = memory.begin(piece);
      const pgnosAt = memory.reserve(4 * asked);
      const commitsAt = memory.reserve(4 * asked);
      const big = bigEndian ? 1 : 0;
      const { s0: a, s1: b } = found;
      const count = this.#wasm.walFrames(at, asked, pageSize, big, salt1, salt2, a, b, pgnosAt, commitsAt);
      const result = memory.view(this.#result, 20);
      pgnos.set(memory.numbers(pgnosAt, count), found.count);
      commits.set(memory.numbers(commitsAt, count), found.count);
      const commit = result.getInt32(16, true);
      found = {
        count: found.count + count,
        s0: result.getUint32(0, true),
        s1: result.getUint32(4, true),
        lastCommit: commit < 0 ? found.lastCommit : found.count + commit,
        commitS0: commit < 0 ? found.commitS0 : result.getUint32(8, true),
        commitS1: commit < 0 ? found.commitS1 : result.getUint32(12, true),
      };
      if (count < asked) break;
    }
    return { ...found, pgnos: pgnos.subarray(0, found.count), commits: commits.subarray(0, found.count) };
  }

  pageChecksums(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): BigUint64Array {
    const { numbersAt, count, dataAt, lockPage, at } = this.#placePages(pgnos, pages, pageSize);
    this.#wasm.pageChecksums(numbersAt, count, dataAt, pageSize, lockPage, at);
    return this.#copyOf(at, count);
  }

  /** Xor of the pages' checksums: what they contribute to the database checksum, flag aside. */
  pageChecksumsXor(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): bigint {
    const { numbersAt, count, dataAt, lockPage, at } = this.#placePages(pgnos, pages, pageSize);
    return BigInt.asUintN(64, this.#wasm.pageChecksums(numbersAt, count, dataAt, pageSize, lockPage, at));
  }

  pageHashes(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): BigUint64Array {
    const { numbersAt, count, dataAt, lockPage, at } = this.#placePages(pgnos, pages, pageSize);
    this.#wasm.pageHashes(numbersAt, count, dataAt, pageSize, lockPage, at);
    return this.#copyOf(at, count);
  }

  /** `at`: room for 8 bytes a page. */
  #placePages(
    pgnos: ArrayLike<number>,
    pages: Uint8Array,
    pageSize: number,
  ): { numbersAt: number; count: number; dataAt: number; lockPage: number; at: number } {
    const memory = this.#memory;
    const count = checkPages(pgnos, pages, pageSize);
    const numbers = memory.outsideNumbers(pgnos);
    const data = memory.outside(pages);
    memory.reset();
    const numbersAt = memory.putNumbers(numbers);
    const dataAt = memory.put(data);
    return { numbersAt, count, dataAt, lockPage: lockPageNumber(pageSize), at: memory.reserve(8 * count) };
  }

  #copyOf(at: number, count: number): BigUint64Array {
    return new BigUint64Array(this.#memory.bytes(at, 8 * count).slice().buffer);
  }

  #setCrc(crc: bigint): void {
    this.#memory.view(this.#result, 8).setBigUint64(0, crc, true);
  }

  #crc(): bigint {
    return this.#memory.view(this.#result, 8).getBigUint64(0, true);
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
