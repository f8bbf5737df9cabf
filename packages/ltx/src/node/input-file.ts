import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { CHECKSUM_FLAG, HEADER_SIZE, PAGE_HEADER_SIZE, TRAILER_SIZE } from '../format/constants.ts';
import { LtxError } from '../format/error.ts';
import { decodeHeader, hasChecksums, isSnapshot } from '../format/header.ts';
import type { LtxHeader } from '../format/header.ts';
import { wasmKernel } from '../kernel/wasm-kernel.ts';
import { readPageIndex } from '../format/page-index.ts';
import { PageOrder } from '../format/page-order.ts';
import { decodeTrailer, validateTrailer } from '../format/trailer.ts';
import type { LtxTrailer } from '../format/trailer.ts';
import type { FramePart, MergeKernel } from './merge-kernel.ts';

/**
 * A pipe in the place of the file must not block this thread: with these flags, neither opening nor reading it waits.
 */
export const READ: number = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** The size field of the index is this far before the end, and takes eight bytes. */
const INDEX_SIZE_AT = TRAILER_SIZE + 8;
/** In most level-0 files, everything after the frames fits. */
const TAIL_SIZE = 4096;

/**
 * A local input file of a merge: its index is read first, its frames later, piece by piece, directly into the kernel's
 * memory. All of it is verified once `finish` returns; until then the index is unverified.
 */
export class InputFile {
  readonly name: string | undefined;
  readonly header: LtxHeader;
  readonly #fd: number;
  readonly #size: number;
  /** The last bytes of the file. */
  readonly #tail: Uint8Array;
  readonly #withPageChecksums: boolean;
  readonly #headerCrc: bigint;
  /** Offset of the next frames. */
  #at = HEADER_SIZE;

  constructor(path: string, name: string | undefined) {
    this.name = name;
    this.#fd = openSync(path, READ);
    try {
      this.#size = fstatSync(this.#fd).size;
      const bytes = new Uint8Array(Math.min(HEADER_SIZE, this.#size));
      this.#read(bytes, 0);
      this.header = decodeHeader(bytes, { file: name });
      this.#headerCrc = wasmKernel().crc64(bytes);
      this.#withPageChecksums = isSnapshot(this.header) && hasChecksums(this.header);
      this.#tail = this.#end(Math.min(TAIL_SIZE, this.#size - HEADER_SIZE));
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** Bytes of the index as the file states it: not verified, but enough to plan the memory. */
  get indexSize(): number {
    const at = this.#tail.length - INDEX_SIZE_AT;
    if (at < 0) return 0;
    const view = new DataView(this.#tail.buffer, this.#tail.byteOffset);
    return Math.min(this.#size, Number(view.getBigUint64(at)));
  }

  /** Passes the index to the kernel. Throws `LtxError` unless it is plausible. */
  async readIndex(kernel: MergeKernel): Promise<void> {
    const { indexSize } = this;
    const pagesEnd = this.#pagesEnd();
    if (indexSize > 0 && pagesEnd >= HEADER_SIZE) {
      const after = this.#end(this.#size - pagesEnd);
      const entries = after.subarray(PAGE_HEADER_SIZE, PAGE_HEADER_SIZE + indexSize - 1);
      const isEnded = after[PAGE_HEADER_SIZE + indexSize - 1] === 0;
      if (isEnded && after.subarray(0, PAGE_HEADER_SIZE).every((byte) => byte === 0)) {
        kernel.scratch(entries.length).set(entries);
        if (kernel.parseIndex(entries.length, this.header, pagesEnd, this.#headerCrc)) return;
      }
    }
    // The kernel only reports that the index is invalid. This finds the fault.
    const { index } = await readPageIndex(
      { size: this.#size, read: (offset, length) => Promise.resolve(this.#part(offset, length)) },
      { file: this.name },
    );
    const order = new PageOrder(this.header);
    order.next(index.pgnos, 'BAD_PAGE', (i) => ({ file: this.name, offset: index.offsets[i] }));
    order.end({ file: this.name, offset: pagesEnd });
    kernel.addIndex(index, this.#headerCrc);
  }

  /** Reads, verifies and merges the next frames. Throws `LtxError`. */
  merge(part: FramePart, kernel: MergeKernel): void {
    this.#read(kernel.scratch(part.length), this.#at);
    kernel.take(part, this.#withPageChecksums, { file: this.name, offset: this.#at });
    this.#at += part.length;
  }

  /** Verifies everything after the frames, and with it the whole file. Throws `LtxError`. */
  finish({ crc, pages }: { readonly crc: bigint; readonly pages: bigint }): LtxTrailer {
    const after = this.#end(this.#size - this.#pagesEnd());
    const place = { file: this.name, offset: this.#size - TRAILER_SIZE };
    const trailer = decodeTrailer(after.subarray(-TRAILER_SIZE), place);
    if (trailer.fileChecksum !== (CHECKSUM_FLAG | wasmKernel().crc64(after.subarray(0, -8), crc))) {
      throw new LtxError('CHECKSUM_MISMATCH', 'file checksum does not match the content', place);
    }
    validateTrailer(trailer, this.header, place);
    if (this.#withPageChecksums && trailer.postApplyChecksum !== (CHECKSUM_FLAG | pages)) {
      throw new LtxError('BAD_TRAILER', 'database checksum does not match the pages', place);
    }
    return trailer;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Offset of the end of the frames, if the size of the index is right. */
  #pagesEnd(): number {
    return this.#size - INDEX_SIZE_AT - this.indexSize - PAGE_HEADER_SIZE;
  }

  /** The last bytes of the file. */
  #end(length: number): Uint8Array {
    const tail: Uint8Array | undefined = this.#tail;
    if (tail !== undefined && length <= tail.length) return tail.subarray(tail.length - length);
    return this.#part(this.#size - length, length);
  }

  #part(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#read(bytes, offset);
    return bytes;
  }

  #read(target: Uint8Array, offset: number): void {
    let done = 0;
    while (done < target.length) {
      const count = readSync(this.#fd, target, done, target.length - done, offset + done);
      if (count === 0) throw new LtxError('TRUNCATED', 'ends early', { file: this.name, offset: offset + done });
      done += count;
    }
  }
}
