import { HEADER_SIZE, PAGE_HEADER_SIZE, TRAILER_SIZE } from './constants.ts';
import { LtxError } from './error.ts';
import { decodeTrailer } from './trailer.ts';
import type { LtxTrailer } from './trailer.ts';

/** A file with random access. `read` returns exactly `size` bytes or throws. */
export interface RandomAccess {
  /** Bytes. */
  readonly size: number;
  read(offset: number, size: number): Promise<Uint8Array>;
}

/** Position of a page's frame in the file. */
export interface PageIndexEntry {
  readonly pgno: number;
  /** Absolute offset of the page header. */
  readonly offset: number;
  /** Bytes, headers included. */
  readonly size: number;
}

/** Position of each page in a file, ascending by page number; the frames are contiguous. */
export class PageIndex {
  readonly pgnos: Uint32Array;
  /** Absolute offsets of the page headers. Above 2^32 in large files. */
  readonly offsets: Float64Array;
  /** Bytes, headers included. */
  readonly sizes: Uint32Array;

  constructor(pgnos: Uint32Array, offsets: Float64Array, sizes: Uint32Array) {
    this.pgnos = pgnos;
    this.offsets = offsets;
    this.sizes = sizes;
  }

  get count(): number {
    return this.pgnos.length;
  }

  /** The entry of a page, by binary search. */
  find(pgno: number): PageIndexEntry | undefined {
    let low = 0;
    let high = this.pgnos.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.pgnos[middle] ?? 0) < pgno) low = middle + 1;
      else high = middle;
    }
    if (this.pgnos[low] !== pgno) return undefined;
    return { pgno, offset: this.offsets[low] ?? 0, size: this.sizes[low] ?? 0 };
  }
}

/** Bytes of the size field behind the index. */
const SIZE_SIZE = 8;
/** Page header, and at least one byte of a legacy frame or block. */
export const FRAME_SIZE_MIN: number = PAGE_HEADER_SIZE + 5;
/** The longest frame of the largest page. */
export const INDEXED_SIZE_MAX: number = 2 * 65536 + 1024;
/** Most indexes of level-0 files fit the first read. */
const FIRST_READ_SIZE = 64 * 1024;

/**
 * Reads index and trailer without reading the pages: one read for a small index, two otherwise. `pagesEnd` is the
 * offset of the six zero bytes. The file checksum is not verified: that takes the whole file. Throws `LtxError`:
 * `TRUNCATED`, `BAD_INDEX`, `BAD_TRAILER`.
 */
export async function readPageIndex(
  file: RandomAccess,
  options: { readonly file?: string | undefined } = {},
): Promise<{ index: PageIndex; trailer: LtxTrailer; pagesEnd: number }> {
  const name = options.file;
  const fixed = PAGE_HEADER_SIZE + SIZE_SIZE + TRAILER_SIZE;
  if (file.size < HEADER_SIZE + fixed + 1) {
    throw new LtxError('TRUNCATED', 'too small for a header and a trailer', { file: name, offset: file.size });
  }
  const tailSize = Math.min(file.size - HEADER_SIZE, FIRST_READ_SIZE);
  let tail = await readExactly(file, file.size - tailSize, tailSize, name);
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  const sizeAt = tail.length - TRAILER_SIZE - SIZE_SIZE;
  const indexSize = Number(view.getBigUint64(sizeAt));
  const trailer = decodeTrailer(tail.subarray(-TRAILER_SIZE), { file: name, offset: file.size - TRAILER_SIZE });
  const pagesEnd = file.size - fixed - indexSize;
  if (indexSize < 1 || pagesEnd < HEADER_SIZE) {
    const place = { file: name, offset: file.size - TRAILER_SIZE - SIZE_SIZE };
    throw new LtxError('BAD_INDEX', `page index of ${indexSize} bytes does not fit the file`, place);
  }
  const wanted = indexSize + fixed;
  if (wanted > tail.length) tail = await readExactly(file, pagesEnd, wanted, name);
  const area = tail.subarray(tail.length - wanted, tail.length - TRAILER_SIZE);
  if (area.subarray(0, PAGE_HEADER_SIZE).some((byte) => byte !== 0)) {
    throw new LtxError('BAD_INDEX', 'no end of pages before the page index', { file: name, offset: pagesEnd });
  }
  const place = { file: name, offset: pagesEnd + PAGE_HEADER_SIZE };
  const index = decodeEntries(area.subarray(PAGE_HEADER_SIZE), place);
  const last = index.count - 1;
  const end = last < 0 ? HEADER_SIZE : (index.offsets[last] ?? 0) + (index.sizes[last] ?? 0);
  if (end !== pagesEnd) throw new LtxError('BAD_INDEX', `listed pages end at byte ${end}, not before the index`, place);
  return { index, trailer, pagesEnd };
}

/** Decodes an index. `bytes` is exactly its triples, the zero byte and its size. Throws `LtxError` (`BAD_INDEX`). */
export function decodePageIndex(bytes: Uint8Array): PageIndex {
  return decodeEntries(bytes, { offset: 0 });
}

function decodeEntries(bytes: Uint8Array, place: { file?: string | undefined; offset: number }): PageIndex {
  const refuse = (at: number, what: string): LtxError =>
    new LtxError('BAD_INDEX', `page index: ${what}`, { file: place.file, offset: place.offset + at });
  const end = bytes.length - SIZE_SIZE;
  if (end < 1) throw refuse(bytes.length, 'too short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getBigUint64(end) !== BigInt(end)) throw refuse(end, 'its size is not what it says');
  if (bytes[end - 1] !== 0) throw refuse(end - 1, 'no end mark');

  // Every varint ends with a byte below 128, so their number is known before they are decoded.
  let varints = 0;
  for (let i = 0; i < end - 1; i += 1) if ((bytes[i] ?? 0) < 128) varints += 1;
  if (varints % 3 !== 0) throw refuse(0, `${varints} numbers are not whole entries`);
  const count = varints / 3;
  const pgnos = new Uint32Array(count);
  const offsets = new Float64Array(count);
  const sizes = new Uint32Array(count);

  let at = 0;
  const number = (max: number): number => {
    let value = 0;
    let scale = 1;
    const start = at;
    while (at < end - 1) {
      const byte = bytes[at] ?? 0;
      at += 1;
      value += (byte & 127) * scale;
      if (value > max || at - start > 8) throw refuse(start, 'a number out of range');
      if (byte < 128) {
        if (byte === 0 && at - start > 1) throw refuse(start, 'a number with leading zeros');
        return value;
      }
      scale *= 128;
    }
    throw refuse(start, 'ends within a number');
  };
  let last = 0;
  let expected = HEADER_SIZE;
  for (let i = 0; i < count; i += 1) {
    const start = at;
    const pgno = number(2 ** 32 - 1);
    const offset = number(Number.MAX_SAFE_INTEGER);
    const size = number(INDEXED_SIZE_MAX);
    if (pgno <= last) throw refuse(start, `page ${pgno} after page ${last}`);
    if (offset !== expected) throw refuse(start, `page ${pgno} at byte ${offset}, not ${expected}`);
    if (size < FRAME_SIZE_MIN) throw refuse(start, `page ${pgno} of ${size} bytes`);
    pgnos[i] = pgno;
    offsets[i] = offset;
    sizes[i] = size;
    last = pgno;
    expected = offset + size;
  }
  if (at !== end - 1) throw refuse(at, 'ends within an entry');
  return new PageIndex(pgnos, offsets, sizes);
}

async function readExactly(
  file: RandomAccess,
  offset: number,
  size: number,
  name: string | undefined,
): Promise<Uint8Array> {
  const bytes = await file.read(offset, size);
  if (bytes.length === size) return bytes;
  throw new LtxError('TRUNCATED', 'a read ended early', { file: name, offset: offset + bytes.length });
}
