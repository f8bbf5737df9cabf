import { LtxError } from '../format/error.ts';
import type { CheckedFrames, DecodedFrames, EncodedFrames } from './kernel.ts';
import type { KernelRuntime } from './kernel-runtime.ts';
import { argument, blockSizeMax, checkPages, checkPageSize, DECODE_FAULTS, frameSizeMax } from './limits.ts';

const PAGES_SIZE_MAX = 16 << 20;

/** Where a piece of a file stands, for errors. */
export interface Place {
  readonly file?: string | undefined;
  readonly offset: number;
}

/** Page frames of LTX files: encodes, decodes and checks them, and runs the file checksum over them. */
export class FrameKernel {
  readonly #runtime: KernelRuntime;

  constructor(runtime: KernelRuntime) {
    this.#runtime = runtime;
  }

  /** See `Kernel.encodeFrames`. */
  encode(
    pgnos: ArrayLike<number>,
    pages: Uint8Array,
    pageSize: number,
    crc: bigint,
    { withPageHashes = false }: { readonly withPageHashes?: boolean } = {},
  ): EncodedFrames {
    const { memory } = this.#runtime;
    const count = checkPages(pgnos, pages, pageSize);
    const numbers = memory.outsideNumbers(pgnos);
    const dataAt = memory.begin(pages);
    const numbersAt = memory.putNumbers(numbers);
    const sizesAt = memory.reserve(4 * count);
    const sumsAt = withPageHashes ? memory.reserve(8 * count) : 0;
    const outAt = memory.reserve(count * (blockSizeMax(pageSize) + 10));
    this.#runtime.setCrc(crc);
    const length = this.#runtime.wasm.encodeFrames(numbersAt, count, dataAt, pageSize, outAt, sizesAt, sumsAt);
    return {
      frames: memory.bytes(outAt, length),
      sizes: memory.numbers(sizesAt, count),
      crc: this.#runtime.crc(),
      pageHashes: memory.checksums(sumsAt, withPageHashes ? count : 0).slice(),
    };
  }

  /** See `Kernel.decodeFrames`. `place` says where `src` stands in which file, for errors. */
  decode(
    src: Uint8Array,
    pageSize: number,
    crc: bigint,
    pageCountMax: number | undefined,
    place: Place,
    withPageHashes = false,
  ): DecodedFrames {
    checkPageSize(pageSize);
    const { memory } = this.#runtime;
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
    this.#runtime.setCrc(crc);
    const count = this.#runtime.wasm.decodeFrames(
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
    const result = this.#runtime.result(20);
    const { consumed, endOfPages } = this.#consumed(count, { length, countMax, pageSize }, place);
    return {
      count,
      consumed,
      pgnos: memory.numbers(pgnosAt, count),
      sizes: memory.numbers(sizesAt, count),
      pages: memory.bytes(outAt, count * pageSize),
      crc: this.#runtime.crc(),
      endOfPages,
      crcLength: result.getUint32(16, true),
      pageHashes: memory.checksums(sumsAt, withPageHashes ? count : 0),
    };
  }

  /**
   * `decode` for a caller that needs no pages: decodes each, verifies it and forgets it. With `withPageChecksums`, the xor
   * of the pages' own checksums is known afterwards.
   */
  check(
    src: Uint8Array,
    pageSize: number,
    crc: bigint,
    options: { readonly countMax: number; readonly withPageChecksums: boolean },
    place: Place,
  ): CheckedFrames {
    const { countMax, withPageChecksums } = options;
    const { length } = src;
    const checked = this.#checkAt(this.#runtime.memory.begin(src), length, countMax, pageSize, crc, withPageChecksums);
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
      crc: this.#runtime.crc(),
      endOfPages,
    };
  }

  /** Checks frames that stand in the kernel's memory. Everything returned is a view. */
  #checkAt(
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
    const { memory } = this.#runtime;
    const pgnosAt = memory.reserve(4 * countMax);
    const sizesAt = memory.reserve(4 * countMax);
    const checksumsAt = memory.reserve(8 * countMax);
    const kindsAt = memory.reserve(countMax);
    const pageAt = memory.reserve(pageSize);
    this.#runtime.setCrc(crc);
    const count = this.#runtime.wasm.decodeFrames(
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
      pageChecksums: this.#runtime.result(32).getBigUint64(24, true),
    };
  }

  /** The running file checksum over frames of which `check` knows the checksums. */
  appendChecked(checksums: BigUint64Array, kinds: Uint8Array, pageSize: number, crc: bigint): bigint {
    const { memory } = this.#runtime;
    memory.reset();
    const checksumsAt = memory.put(new Uint8Array(checksums.buffer, checksums.byteOffset, checksums.byteLength));
    const kindsAt = memory.put(kinds);
    this.#runtime.setCrc(crc);
    this.#runtime.wasm.appendChecked(checksumsAt, kindsAt, checksums.length, pageSize);
    return this.#runtime.crc();
  }

  /** What the last call over frames consumed; throws if it met a malformed one. */
  #consumed(
    count: number,
    asked: { readonly length: number; readonly countMax: number; readonly pageSize: number },
    place: Place,
  ): { consumed: number; endOfPages: boolean } {
    const result = this.#runtime.result(16);
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
  checksum(
    pgnos: ArrayLike<number>,
    sizes: ArrayLike<number>,
    frames: Uint8Array,
    pages: Uint8Array,
    pageSize: number,
    crc: bigint,
  ): bigint {
    const { memory } = this.#runtime;
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
    this.#runtime.setCrc(crc);
    const bad = this.#runtime.wasm.checksumFrames(framesAt, sizesAt, pgnosAt, count, pagesAt, pageSize);
    if (bad >= 0) throw argument(`a frame whose header does not fit page ${pgnos[bad]}`);
    return this.#runtime.crc();
  }
}
