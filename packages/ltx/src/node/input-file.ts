import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { CHECKSUM_FLAG, HEADER_SIZE, TRAILER_SIZE } from '../constants.ts';
import { LtxError } from '../error.ts';
import { decodeHeader, hasChecksums, isSnapshot } from '../header.ts';
import type { LtxHeader } from '../header.ts';
import type { ListedFrames } from '../kernel/kernel.ts';
import { wasmKernel } from '../kernel/wasm-kernel.ts';
import { readPageIndex } from '../page-index.ts';
import type { PageIndex } from '../page-index.ts';
import { PageOrder } from '../page-order.ts';
import { decodeTrailer, validateTrailer } from '../trailer.ts';
import type { LtxTrailer } from '../trailer.ts';

/** The size of the index stands this far before the end, and takes eight bytes. */
const INDEX_SIZE_AT = TRAILER_SIZE + 8;

/**
 * A local file that is merged: its index is read first, its frames later, a piece at a time, straight into the kernel's
 * memory. All of it is verified once `finish` returns; until then the index is only a claim that the frames must bear out.
 */
export class InputFile {
  readonly name: string | undefined;
  readonly header: LtxHeader;
  readonly #fd: number;
  readonly #size: number;
  readonly #withPageChecksums: boolean;
  #index: PageIndex | undefined;
  #pagesEnd = 0;
  #crc: bigint;
  #databaseChecksum = 0n;
  #at = 0;

  constructor(path: string, name: string | undefined) {
    this.name = name;
    this.#fd = openSync(path, 'r');
    try {
      this.#size = fstatSync(this.#fd).size;
      const bytes = new Uint8Array(Math.min(HEADER_SIZE, this.#size));
      this.#read(bytes, 0);
      this.header = decodeHeader(bytes, { file: name });
      this.#crc = wasmKernel().crc64(bytes);
      this.#withPageChecksums = isSnapshot(this.header) && hasChecksums(this.header);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** Bytes of the index, as the file has it: not to be trusted, but enough to know what reading it would take. */
  get indexSize(): number {
    if (this.#size < HEADER_SIZE + INDEX_SIZE_AT) return 0;
    const bytes = new Uint8Array(8);
    this.#read(bytes, this.#size - INDEX_SIZE_AT);
    return Math.min(this.#size, Number(new DataView(bytes.buffer).getBigUint64(0)));
  }

  /** What the file says it holds, in an order that is checked. Throws `LtxError`. */
  async readIndex(buffer: Uint8Array): Promise<PageIndex> {
    const access = {
      size: this.#size,
      read: (offset: number, length: number): Promise<Uint8Array> => {
        const target = length <= buffer.length ? buffer.subarray(0, length) : new Uint8Array(length);
        this.#read(target, offset);
        return Promise.resolve(target);
      },
    };
    const { index, pagesEnd } = await readPageIndex(access, { file: this.name });
    const order = new PageOrder(this.header);
    order.next(index.pgnos, 'BAD_PAGE', (i) => ({ file: this.name, offset: index.offsets[i] }));
    order.end({ file: this.name, offset: pagesEnd });
    this.#index = index;
    this.#pagesEnd = pagesEnd;
    return index;
  }

  /**
   * Reads the next frames, up to this place in the index, and verifies them. Views are valid until the next call on any
   * kernel of this thread. Throws `LtxError`.
   */
  frames(end: number): ListedFrames {
    const index = this.#listed();
    const from = this.#at;
    const offset = index.offsets[from] ?? this.#pagesEnd;
    const length = (index.offsets[end] ?? this.#pagesEnd) - offset;
    this.#read(wasmKernel().input(length), offset);
    const checked = wasmKernel().checkListed(
      { pgnos: index.pgnos.subarray(from, end), sizes: index.sizes.subarray(from, end), length },
      this.header.pageSize,
      this.#crc,
      this.#withPageChecksums,
      { file: this.name, offset },
    );
    this.#crc = checked.crc;
    this.#databaseChecksum ^= checked.pageChecksums;
    this.#at = end;
    return checked;
  }

  /** Verifies what comes after the frames, and with it all of the file. Throws `LtxError`. */
  finish(): LtxTrailer {
    const tail = new Uint8Array(this.#size - this.#pagesEnd);
    this.#read(tail, this.#pagesEnd);
    const place = { file: this.name, offset: this.#size - TRAILER_SIZE };
    const trailer = decodeTrailer(tail.subarray(-TRAILER_SIZE), place);
    const crc = wasmKernel().crc64(tail.subarray(0, -8), this.#crc);
    if (trailer.fileChecksum !== (CHECKSUM_FLAG | crc)) {
      throw new LtxError('CHECKSUM_MISMATCH', 'file checksum does not match the content', place);
    }
    validateTrailer(trailer, this.header, place);
    if (this.#withPageChecksums && trailer.postApplyChecksum !== (CHECKSUM_FLAG | this.#databaseChecksum)) {
      throw new LtxError('BAD_TRAILER', 'database checksum does not match the pages', place);
    }
    return trailer;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #listed(): PageIndex {
    if (this.#index === undefined) throw new LtxError('WRONG_STATE', 'frames are read after the index');
    return this.#index;
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
