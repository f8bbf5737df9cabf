import { CHECKSUM_FLAG, HEADER_SIZE, PAGE_HEADER_SIZE, TRAILER_SIZE } from '../format/constants.ts';
import { ByteQueue } from '../format/byte-queue.ts';
import { LtxError } from '../format/error.ts';
import { decodeHeader, hasChecksums, isSnapshot } from '../format/header.ts';
import type { LtxHeader } from '../format/header.ts';
import { IndexWriter, indexEnd } from '../format/index-writer.ts';
import { frameSizeMax } from '../kernel/limits.ts';
import { wasmKernel } from '../kernel/wasm-kernel.ts';
import { PageOrder } from '../format/page-order.ts';
import { decodeTrailer, validateTrailer } from '../format/trailer.ts';
import type { LtxTrailer } from '../format/trailer.ts';

/** Some pages of a file: views that are valid until the next batch, even if the kernel is used meanwhile. */
export interface PageBatch {
  readonly pgnos: Uint32Array;
  /** Bytes of each frame, headers included. */
  readonly sizes: Uint32Array;
  /** The frames, as in the file. */
  readonly frames: Uint8Array;
  /** Their content: `pgnos.length × pageSize` bytes. */
  readonly pages: Uint8Array;
}

/**
 * Some frames of a file, whose pages were decoded, verified and discarded. `frames` is a view that is valid until the
 * next batch.
 */
export interface FrameBatch {
  readonly pgnos: Uint32Array;
  /** Bytes of each frame, headers included. */
  readonly sizes: Uint32Array;
  /** The frames, as in the file. */
  readonly frames: Uint8Array;
  /** CRC of each frame as the file checksum includes it. */
  readonly checksums: BigUint64Array;
  /** Flags of each frame. */
  readonly kinds: Uint8Array;
}

export interface LtxDecoderOptions {
  /** Name of the file, for errors. */
  readonly file?: string;
  /** Approximate bytes of pages in a batch, and of frames that are gathered for one. Default 256 KiB. */
  readonly batchSize?: number;
}

const BATCH_SIZE = 256 * 1024;
/** Maximum frames of a batch whose pages are discarded: limits the memory for the metadata of very small frames. */
const FRAME_COUNT_MAX = 4096;

/**
 * Reads a file from start to end in bounded memory and verifies all of it: call `header`, `batches`, `finish`. Throws
 * `LtxError` for any fault; errors of the source pass through. `finish` ends the source; if you stop earlier, call
 * `close`.
 */
export class LtxDecoder {
  readonly #queue: ByteQueue;
  readonly #file: string | undefined;
  readonly #batchSize: number;
  #state: 'new' | 'pages' | 'end' | 'done' = 'new';
  #header: LtxHeader | undefined;
  #pageCount = 0;
  #crc = 0n;
  /** Xor of page checksums, in snapshots with checksums. */
  #databaseChecksum = 0n;
  // The index must list exactly the frames before it, so its bytes are known: length and CRC suffice.
  readonly #index = new IndexWriter(HEADER_SIZE);
  #indexSize = 0;
  #indexCrc = 0n;

  constructor(source: AsyncIterable<Uint8Array>, options: LtxDecoderOptions = {}) {
    this.#file = options.file;
    this.#batchSize = options.batchSize ?? BATCH_SIZE;
    this.#queue = new ByteQueue(source, this.#batchSize);
  }

  /** Pages read so far. */
  get pageCount(): number {
    return this.#pageCount;
  }

  /** The header; can be called again. */
  async header(): Promise<LtxHeader> {
    if (this.#header !== undefined) return this.#header;
    await this.#queue.fill(HEADER_SIZE);
    const bytes = this.#queue.bytes.subarray(0, HEADER_SIZE);
    const header = decodeHeader(bytes, { file: this.#file });
    this.#crc = wasmKernel().crc64(bytes);
    this.#queue.consume(HEADER_SIZE);
    this.#header = header;
    this.#state = 'pages';
    return header;
  }

  /** All pages. Reads the header first if it was not read yet. */
  async *batches(): AsyncGenerator<PageBatch, void, undefined> {
    const header = await this.header();
    if (this.#state !== 'pages') throw new LtxError('WRONG_STATE', 'the pages of this file were read already');
    const order = new PageOrder(header);
    const queue = this.#queue;
    const { pageSize } = header;
    const countMax = Math.max(1, Math.floor(this.#batchSize / pageSize));
    const fillSize = Math.max(this.#batchSize, frameSizeMax(pageSize));
    const pages = new Uint8Array(countMax * pageSize);
    const checksummed = isSnapshot(header) && hasChecksums(header);
    while (true) {
      await queue.fill(fillSize);
      const place = { file: this.#file, offset: queue.offset };
      const source = queue.bytes;
      const batch = wasmKernel().decodeFramesOf(source, pageSize, this.#crc, countMax, place);
      if (batch.count > 0) {
        // Copied out of the kernel's memory, so that a consumer can use the kernel without destroying the batch.
        pages.set(batch.pages);
        const own = {
          pgnos: batch.pgnos.slice(),
          sizes: batch.sizes.slice(),
          frames: source.subarray(0, batch.consumed),
          pages: pages.subarray(0, batch.pages.length),
        };
        if (checksummed) this.#databaseChecksum ^= wasmKernel().pageChecksumsXor(own.pgnos, own.pages, pageSize);
        this.#accept(order, { ...own, consumed: batch.consumed, crc: batch.crc });
        yield own;
      }
      if (batch.endOfPages) break;
      if (batch.count === 0 && queue.ended) {
        throw new LtxError('TRUNCATED', 'ends within the pages', { ...place, offset: place.offset + source.length });
      }
    }
    order.end({ file: this.#file, offset: queue.offset });
    this.#state = 'end';
  }

  /** Like `batches`, for callers that need no pages: frames to pass on unchanged. */
  async *frames(): AsyncGenerator<FrameBatch, void, undefined> {
    const header = await this.header();
    if (this.#state !== 'pages') throw new LtxError('WRONG_STATE', 'the pages of this file were read already');
    const order = new PageOrder(header);
    const queue = this.#queue;
    const { pageSize } = header;
    const fillSize = Math.max(this.#batchSize, frameSizeMax(pageSize));
    const options = { countMax: FRAME_COUNT_MAX, withPageChecksums: isSnapshot(header) && hasChecksums(header) };
    while (true) {
      await queue.fill(fillSize);
      const place = { file: this.#file, offset: queue.offset };
      const source = queue.bytes;
      const batch = wasmKernel().checkFramesOf(source, pageSize, this.#crc, options, place);
      const { pgnos, sizes, checksums, kinds, consumed } = batch;
      if (batch.count > 0) {
        this.#databaseChecksum ^= batch.pageChecksums;
        this.#accept(order, batch);
        yield { pgnos, sizes, checksums, kinds, frames: source.subarray(0, consumed) };
      }
      if (batch.endOfPages) break;
      if (batch.count === 0 && queue.ended) {
        throw new LtxError('TRUNCATED', 'ends within the pages', { ...place, offset: place.offset + source.length });
      }
    }
    order.end({ file: this.#file, offset: queue.offset });
    this.#state = 'end';
  }

  /** Reads and verifies index and trailer, after all batches. `size` is the size of the file in bytes. */
  async finish(): Promise<LtxTrailer & { size: number }> {
    if (this.#state !== 'end' || this.#header === undefined) {
      throw new LtxError('WRONG_STATE', 'a decoder finishes once, after all its batches');
    }
    const file = this.#file;
    await this.#take(PAGE_HEADER_SIZE, (bytes) => this.#hash(bytes));
    const end = indexEnd(this.#indexSize);
    const expected = wasmKernel().crc64(end, this.#indexCrc);
    const offset = this.#queue.offset;
    let crc = 0n;
    await this.#take(this.#indexSize + end.length, (bytes) => {
      crc = wasmKernel().crc64(bytes, crc);
      this.#hash(bytes);
    });
    if (crc !== expected)
      throw new LtxError('BAD_INDEX', 'page index does not list the pages before it', { file, offset });
    const place = { file, offset: this.#queue.offset };
    const bytes = new Uint8Array(TRAILER_SIZE);
    let filled = 0;
    await this.#take(TRAILER_SIZE, (part) => {
      bytes.set(part, filled);
      filled += part.length;
    });
    this.#hash(bytes.subarray(0, 8));
    const trailer = decodeTrailer(bytes, place);
    if (trailer.fileChecksum !== (CHECKSUM_FLAG | this.#crc)) {
      throw new LtxError('CHECKSUM_MISMATCH', 'file checksum does not match the content', place);
    }
    validateTrailer(trailer, this.#header, place);
    if (isSnapshot(this.#header) && hasChecksums(this.#header)) {
      if (trailer.postApplyChecksum !== (CHECKSUM_FLAG | this.#databaseChecksum)) {
        throw new LtxError('BAD_TRAILER', 'database checksum does not match the pages', place);
      }
    }
    await this.#queue.fill(1);
    if (this.#queue.bytes.length > 0) {
      throw new LtxError('TRAILING_DATA', 'bytes follow the trailer', { file, offset: this.#queue.offset });
    }
    this.#state = 'done';
    return { ...trailer, size: this.#queue.offset };
  }

  /** Ends the source early. */
  async close(): Promise<void> {
    await this.#queue.close();
  }

  /** Passes exactly `size` bytes to `use`, in pieces. */
  async #take(size: number, use: (bytes: Uint8Array) => void): Promise<void> {
    let left = size;
    while (left > 0) {
      await this.#queue.fill(Math.min(left, this.#batchSize));
      const bytes = this.#queue.bytes.subarray(0, left);
      if (bytes.length === 0) {
        const place = { file: this.#file, offset: this.#queue.offset };
        throw new LtxError('TRUNCATED', 'ends within its page index or trailer', place);
      }
      use(bytes);
      this.#queue.consume(bytes.length);
      left -= bytes.length;
    }
  }

  #hash(bytes: Uint8Array): void {
    this.#crc = wasmKernel().crc64(bytes, this.#crc);
  }

  /** Adds well-formed frames to the state that is verified at the end. Throws if they are out of order. */
  #accept(
    order: PageOrder,
    batch: {
      readonly pgnos: Uint32Array;
      readonly sizes: Uint32Array;
      readonly consumed: number;
      readonly crc: bigint;
    },
  ): void {
    const { pgnos, sizes } = batch;
    const { offset } = this.#queue;
    order.next(pgnos, 'BAD_PAGE', (i) => ({ file: this.#file, offset: offset + sum(sizes, i) }));
    this.#pageCount = order.count;
    this.#crc = batch.crc;
    this.#queue.consume(batch.consumed);
    this.#index.add(pgnos, sizes);
    const bytes = this.#index.take();
    this.#indexSize += bytes.length;
    this.#indexCrc = wasmKernel().crc64(bytes, this.#indexCrc);
  }
}

function sum(sizes: Uint32Array, count: number): number {
  let total = 0;
  for (const size of sizes.subarray(0, count)) total += size;
  return total;
}
