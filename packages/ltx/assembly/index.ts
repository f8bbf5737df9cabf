// The kernel: every export works on a batch, so that JavaScript and WASM meet once per batch and never per page.
// Memory after `heapBase()` is the caller's to lay out; 64 bytes of slack follow each area it names.

import { combine as crcCombine, pageChecksum, pageHash, pastFrame, setPowers, update, updateAndHash } from './crc64';
import { FLAG_SIZE, headers } from './frame';
import { decodeBlock, initPatterns } from './lz4-decode';
import { encodeBlock, resetTable } from './lz4-encode';
import { FRAME_CUT, FRAME_SUM, decodeFrame } from './lz4-frame';
import { RESULT } from './result';

export { decodeBlock } from './lz4-decode';
export { mergeFrames } from './merge-frames';
export { planWindow } from './merge-plan';
export { parseIndex } from './page-index';
export { walChecksum, walFrames } from './wal';

initPatterns();

export function heapBase(): usize {
  return (__heap_base + 63) & ~63;
}

export function resultBase(): usize {
  return RESULT;
}

export function crc64(ptr: usize, length: usize, seed: u64): u64 {
  return ~update(~seed, ptr, length);
}

export function crc64Combine(a: u64, b: u64, length: u64): u64 {
  return crcCombine(a, b, length);
}

/**
 * Compresses `count` pages to `out`; returns the bytes written. The running checksum is at RESULT, before and after. With
 * `sums`, the page hashes go there.
 */
export function encodeFrames(
  pgnos: usize,
  count: i32,
  pages: usize,
  pageSize: usize,
  out: usize,
  sizes: usize,
  sums: usize,
): usize {
  const start = out;
  let state = ~load<u64>(RESULT);
  if (sums) setPowers(pageSize);
  resetTable();
  for (let i = 0; i < count; i++) {
    const pgno = load<u32>(pgnos + (<usize>i << 2));
    const size = <u32>encodeBlock(pages, pageSize, out + 10);
    store<u32>(out, bswap(pgno));
    store<u16>(out, 0x0100, 4);
    store<u32>(out, bswap(size), 6);
    state = headers(state, pgno, FLAG_SIZE, size);
    if (sums) state = updateAndHash(state, pgno, pages, pageSize, sums + (<usize>i << 3));
    else state = update(state, pages, pageSize);
    store<u32>(sizes + (<usize>i << 2), size + 10);
    out += size + 10;
    pages += pageSize;
  }
  store<u64>(RESULT, ~state);
  return out - start;
}

/**
 * Decodes whole frames until `src` ends, `countMax` is reached, the zero header stands next, or one is malformed.
 * Returns how many. RESULT: running checksum +0 (before and after), bytes consumed +8, state +12, bytes that the checksum
 * covers +16. States: 0 more may follow, 1 end of pages, then errors: 2 page number, 3 flags, 4 size, 5 block, 6 LZ4
 * frame, 7 its checksum.
 *
 * With `sums`, the page hashes go there.
 *
 * With `crcs`, no page is kept: each is decoded to `out` and forgotten; the CRC of each frame, as the file checksum sees
 * it, goes to `crcs`, its flags to `kinds`, and with `sum` the xor of the pages' own checksums to RESULT +24.
 */
export function decodeFrames(
  src: usize,
  length: usize,
  pageSize: usize,
  sizeMax: u32,
  countMax: i32,
  out: usize,
  pgnos: usize,
  sizes: usize,
  crcs: usize,
  kinds: usize,
  sum: bool,
  sums: usize,
): i32 {
  const start = src;
  if (crcs || sums) setPowers(pageSize);
  let all: u64 = 0;
  const end = src + length;
  let crc = ~load<u64>(RESULT);
  let count = 0;
  let state: u32 = 0;
  let covered: u32 = 0;
  while (count < countMax && end - src >= 6) {
    const pgno = bswap(load<u32>(src));
    const flags = <u32>bswap(load<u16>(src, 4));
    if (pgno == 0) {
      state = flags == 0 ? 1 : 2;
      break;
    }
    if (flags & ~FLAG_SIZE) {
      state = 3;
      break;
    }
    let total: usize;
    let size: u32 = 0;
    if (flags) {
      if (end - src < 10) break;
      size = bswap(load<u32>(src, 6));
      if (size == 0 || size > sizeMax) {
        state = 4;
        break;
      }
      total = <usize>size + 10;
      if (total > end - src) break;
      if (decodeBlock(src + 10, size, out, out + pageSize, out) != out + pageSize) {
        state = 5;
        break;
      }
    } else {
      const result = decodeFrame(src + 6, end, out, out + pageSize);
      if (result < 0) {
        if (result != FRAME_CUT) state = result == FRAME_SUM ? 7 : 6;
        break;
      }
      total = <usize>result + 6;
    }
    if (crcs) {
      const own = ~update(headers(~0, pgno, flags, size), out, pageSize);
      crc = ~(pastFrame(~crc, flags != 0) ^ own);
      if (sum) all ^= pageChecksum(pgno, out, pageSize);
      store<u64>(crcs + (<usize>count << 3), own);
      store<u8>(kinds + count, <u8>flags);
    } else {
      crc = headers(crc, pgno, flags, size);
      if (sums) crc = updateAndHash(crc, pgno, out, pageSize, sums + (<usize>count << 3));
      else crc = update(crc, out, pageSize);
    }
    covered += <u32>pageSize + (flags ? 10 : 6);
    store<u32>(pgnos + (<usize>count << 2), pgno);
    store<u32>(sizes + (<usize>count << 2), <u32>total);
    src += total;
    if (!crcs) out += pageSize;
    count++;
  }
  store<u64>(RESULT, ~crc);
  store<u32>(RESULT + 8, <u32>(src - start));
  store<u32>(RESULT + 12, state);
  store<u32>(RESULT + 16, covered);
  store<u64>(RESULT + 24, all);
  return count;
}

/** Runs the checksum at RESULT over frames by the CRCs and flags that `decodeFrames` left of them. */
export function appendChecked(crcs: usize, kinds: usize, count: i32, pageSize: usize): void {
  setPowers(pageSize);
  let crc = load<u64>(RESULT);
  for (let i = 0; i < count; i++) {
    crc = pastFrame(crc, load<u8>(kinds + i) != 0) ^ load<u64>(crcs + (<usize>i << 3));
  }
  store<u64>(RESULT, crc);
}

/**
 * Runs the checksum at RESULT over frames that stay as they are and the pages they hold. Returns the index of the first
 * frame whose headers do not fit its page number and size, or -1.
 */
export function checksumFrames(
  frames: usize,
  sizes: usize,
  pgnos: usize,
  count: i32,
  pages: usize,
  pageSize: usize,
): i32 {
  let state = ~load<u64>(RESULT);
  for (let i = 0; i < count; i++) {
    const pgno = load<u32>(pgnos + (<usize>i << 2));
    const total = load<u32>(sizes + (<usize>i << 2));
    const flags = <u32>bswap(load<u16>(frames, 4));
    const size = flags ? bswap(load<u32>(frames, 6)) : 0;
    if (total < 11 || bswap(load<u32>(frames)) != pgno || flags > 1 || (flags && size != total - 10)) return i;
    state = headers(state, pgno, flags, size);
    state = update(state, pages, pageSize);
    frames += total;
    pages += pageSize;
  }
  store<u64>(RESULT, ~state);
  return -1;
}

/** Checksum of each page, its number first, to `out`; their xor is returned. The page `skip` counts as zero. */
export function pageChecksums(pgnos: usize, count: i32, pages: usize, pageSize: usize, skip: u32, out: usize): u64 {
  let all: u64 = 0;
  for (let i = 0; i < count; i++) {
    const pgno = load<u32>(pgnos + (<usize>i << 2));
    let sum: u64 = 0;
    if (pgno != skip) sum = pageChecksum(pgno, pages, pageSize);
    store<u64>(out + (<usize>i << 3), sum);
    all ^= sum;
    pages += pageSize;
  }
  return all;
}

/** Hash of each page to `out`. The page `skip` counts as zero. */
export function pageHashes(pgnos: usize, count: i32, pages: usize, pageSize: usize, skip: u32, out: usize): void {
  for (let i = 0; i < count; i++) {
    const pgno = load<u32>(pgnos + (<usize>i << 2));
    store<u64>(out + (<usize>i << 3), pgno == skip ? 0 : pageHash(pgno, pages, pageSize));
    pages += pageSize;
  }
}
