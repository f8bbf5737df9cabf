import { CHECKSUM_FLAG, HEADER_SIZE, PAGE_HEADER_SIZE, TRAILER_SIZE } from '../format/constants.ts';
import { LtxError } from '../format/error.ts';
import type { LtxExtension } from '../format/extension.ts';
import type { EncodedFrames } from '../kernel/kernel.ts';
import type { FrameBatch } from './decoder.ts';
import { encodeHeader, hasChecksums } from '../format/header.ts';
import type { LtxHeader } from '../format/header.ts';
import { IndexWriter, indexEnd } from '../format/index-writer.ts';
import { wasmKernel } from '../kernel/wasm-kernel.ts';
import { PageOrder } from '../format/page-order.ts';
import { validateTrailer } from '../format/trailer.ts';

/** Bytes of the compressed size before an LZ4 block. */
const BLOCK_SIZE_SIZE = 4;

/**
 * Writes a file, chunk by chunk: `begin`, pages in any number of batches, `finish`. Each chunk is a view valid until
 * the next call on this encoder or kernel: write or copy it at once. Memory grows by about ten bytes per page, for the
 * index. After an error the encoder must not be used.
 */
export class LtxEncoder {
  #header: LtxHeader;
  #headerBytes: Uint8Array;
  readonly #order: PageOrder;
  readonly #index = new IndexWriter(HEADER_SIZE);
  #state: 'new' | 'pages' | 'done' = 'new';
  #crc = 0n;
  #size = 0;
  /** Bytes that the checksum covers so far. */
  #covered = 0;

  /** Throws `LtxError` (`BAD_HEADER`). */
  constructor(header: LtxHeader) {
    this.#headerBytes = encodeHeader(header);
    this.#header = header;
    this.#order = new PageOrder(header);
  }

  /** Bytes returned so far. */
  get size(): number {
    return this.#size;
  }

  /** Pages taken so far. */
  get pageCount(): number {
    return this.#order.count;
  }

  /** The header. */
  begin(): Uint8Array {
    this.#expect('new');
    this.#state = 'pages';
    this.#crc = wasmKernel().crc64(this.#headerBytes);
    this.#size = this.#covered = HEADER_SIZE;
    return this.#headerBytes;
  }

  /**
   * Compresses pages: `pgnos.length × pageSize` bytes, ascending over the whole file; best 256 KiB to 2 MiB a call.
   * Throws `LtxError` (`INVALID_ARGUMENT`) for the lock page, a page past the database's end, or one out of order.
   */
  encodePages(pgnos: ArrayLike<number>, pages: Uint8Array): Uint8Array {
    return this.#encode(pgnos, pages, false).frames;
  }

  /** As `encodePages`, and the hash of each page: see `Kernel.pageHashes`. */
  encodeAndSum(pgnos: ArrayLike<number>, pages: Uint8Array): Pick<EncodedFrames, 'frames' | 'pageHashes'> {
    return this.#encode(pgnos, pages, true);
  }

  #encode(pgnos: ArrayLike<number>, pages: Uint8Array, withPageHashes: boolean): EncodedFrames {
    this.#expect('pages');
    this.#order.next(pgnos, 'INVALID_ARGUMENT', () => ({}));
    const { pageSize } = this.#header;
    const encoded = wasmKernel().encodeFrames(pgnos, pages, pageSize, this.#crc, { withPageHashes });
    this.#index.add(pgnos, encoded.sizes);
    this.#crc = encoded.crc;
    this.#size += encoded.frames.length;
    this.#covered += pgnos.length * this.#coveredByBlock;
    return encoded;
  }

  /** Bytes of a page in an LZ4 block and of its headers, as the checksum covers them. */
  get #coveredByBlock(): number {
    return this.#header.pageSize + PAGE_HEADER_SIZE + BLOCK_SIZE_SIZE;
  }

  /**
   * Replaces the extension of the header, which may be known only after the pages. Returns the new header: write it
   * over the one that `begin` returned, at the start of the file. Must not be called after `appendFrames` or
   * `passFrames`.
   */
  replaceExtension(extension: LtxExtension): Uint8Array {
    this.#expect('pages');
    const header = { ...this.#header, extension };
    const bytes = encodeHeader(header);
    const changed = wasmKernel().crc64(this.#headerBytes) ^ wasmKernel().crc64(bytes);
    this.#crc = wasmKernel().crc64Combine(changed, this.#crc, this.#covered - HEADER_SIZE);
    this.#header = header;
    this.#headerBytes = bytes;
    return bytes;
  }

  /**
   * Adds frames that are compressed already, of `sizes` bytes each, and returns them; `pages` is their content, which
   * is not verified. Throws as `encodePages`, and for a frame whose header does not match its page number or size.
   */
  appendFrames(pgnos: ArrayLike<number>, sizes: ArrayLike<number>, frames: Uint8Array, pages: Uint8Array): Uint8Array {
    this.#expect('pages');
    this.#order.next(pgnos, 'INVALID_ARGUMENT', () => ({}));
    this.#crc = wasmKernel().checksumFrames(pgnos, sizes, frames, pages, this.#header.pageSize, this.#crc);
    this.#index.add(pgnos, sizes);
    this.#size += frames.length;
    this.#covered = Number.NaN;
    return frames;
  }

  /**
   * Adds pages that `Kernel.encodeFrames` compressed elsewhere, from an initial checksum of 0 to `crc`: their frames,
   * of `sizes` bytes each, follow in the file. Throws as `encodePages`.
   */
  appendCompressed(pgnos: ArrayLike<number>, sizes: Uint32Array, crc: bigint): void {
    this.#expect('pages');
    this.#order.next(pgnos, 'INVALID_ARGUMENT', () => ({}));
    const covered = pgnos.length * this.#coveredByBlock;
    this.#crc = wasmKernel().crc64Combine(this.#crc, crc, covered);
    this.#covered += covered;
    this.#index.add(pgnos, sizes);
    for (const size of sizes) this.#size += size;
  }

  /** Adds frames of `LtxDecoder.frames`; their bytes follow in the file. Throws as `encodePages`. */
  passFrames({ pgnos, sizes, frames, checksums, kinds }: FrameBatch): void {
    this.#expect('pages');
    this.#order.next(pgnos, 'INVALID_ARGUMENT', () => ({}));
    this.#crc = wasmKernel().appendChecked(checksums, kinds, this.#header.pageSize, this.#crc);
    this.#index.add(pgnos, sizes);
    this.#size += frames.length;
    this.#covered = Number.NaN;
  }

  /**
   * Zero header, index and trailer. `postApplyChecksum` is the checksum of the database after the file is applied: only
   * in a file with checksums. Throws `LtxError` for a snapshot that lacks pages (`BAD_PAGE`), or a checksum that does
   * not match the header (`BAD_TRAILER`).
   */
  finish(postApplyChecksum = 0n): Uint8Array {
    this.#expect('pages');
    this.#order.end({});
    if (this.#header.commit === 0 && !hasChecksums(this.#header)) {
      throw new LtxError('BAD_HEADER', 'an empty database needs a file with checksums');
    }
    const index = this.#index.take();
    const end = indexEnd(index.length);
    const bytes = new Uint8Array(PAGE_HEADER_SIZE + index.length + end.length + TRAILER_SIZE);
    bytes.set(index, PAGE_HEADER_SIZE);
    bytes.set(end, PAGE_HEADER_SIZE + index.length);
    const view = new DataView(bytes.buffer);
    const trailerAt = bytes.length - TRAILER_SIZE;
    view.setBigUint64(trailerAt, postApplyChecksum);
    const fileChecksum = CHECKSUM_FLAG | wasmKernel().crc64(bytes.subarray(0, trailerAt + 8), this.#crc);
    validateTrailer({ postApplyChecksum, fileChecksum }, this.#header);
    view.setBigUint64(trailerAt + 8, fileChecksum);
    this.#state = 'done';
    this.#size += bytes.length;
    return bytes;
  }

  #expect(state: 'new' | 'pages'): void {
    if (this.#state === state) return;
    const next = { new: 'begin', pages: 'encodePages, appendFrames or finish', done: 'nothing more' };
    throw new LtxError('WRONG_STATE', `encoder called out of order: it expects ${next[this.#state]}`);
  }
}
