// The inner loop of a merge: each frame is verified, and copied if it stays.

import { pageChecksum, pastFrame, setPowers, update } from './crc64';
import { FLAG_SIZE, headers } from './frame';
import { decodeBlock } from './lz4-decode';
import { FRAME_CUT, FRAME_SUM, decodeFrame } from './lz4-frame';
import { NO_PLACE } from './merge-plan';
import { RESULT } from './result';

/**
 * Takes `count` frames that stand one behind the other at `src`, up to `end`, and that an index gives these `pgnos` and
 * `sizes`. Decodes each page to `page`, runs the checksum at `state` over it, and with `sum` xors the page's own checksum
 * to the number behind that. A frame with a place is copied to its offset in `out`; its CRC and flags go to `crcs` and
 * `kinds`. Returns how many frames were as they should be. RESULT, if not all: bytes before the bad one +8, fault +12, as
 * of `decodeFrames`, or 8 if the index is wrong.
 */
export function mergeFrames(
  src: usize,
  end: usize,
  count: i32,
  pageSize: usize,
  sizeMax: u32,
  page: usize,
  pgnos: usize,
  sizes: usize,
  places: usize,
  sum: bool,
  state: usize,
  out: usize,
  offsets: usize,
  crcs: usize,
  kinds: usize,
): i32 {
  const start = src;
  setPowers(pageSize);
  let crc = load<u64>(state);
  let all: u64 = 0;
  let fault: u32 = 0;
  let i = 0;
  for (; i < count; i++) {
    const total = <usize>load<u32>(sizes + (<usize>i << 2));
    const pgno = bswap(load<u32>(src));
    const flags = <u32>bswap(load<u16>(src, 4));
    let size: u32 = 0;
    if (flags & ~FLAG_SIZE) {
      fault = 3;
      break;
    }
    if (pgno != load<u32>(pgnos + (<usize>i << 2)) || total > end - src) {
      fault = 8;
      break;
    }
    if (flags) {
      size = bswap(load<u32>(src, 6));
      if (size == 0 || size > sizeMax) {
        fault = 4;
        break;
      }
      if (<usize>size + 10 != total) {
        fault = 8;
        break;
      }
      if (decodeBlock(src + 10, size, page, page + pageSize, page) != page + pageSize) {
        fault = 5;
        break;
      }
    } else {
      const result = decodeFrame(src + 6, src + total, page, page + pageSize);
      if (result < 0) {
        fault = result == FRAME_CUT ? 8 : result == FRAME_SUM ? 7 : 6;
        break;
      }
      if (<usize>result + 6 != total) {
        fault = 8;
        break;
      }
    }
    const place = load<u32>(places + (<usize>i << 2));
    if (place == NO_PLACE) {
      crc = ~update(headers(~crc, pgno, flags, size), page, pageSize);
    } else {
      const own = ~update(headers(~0, pgno, flags, size), page, pageSize);
      crc = pastFrame(crc, flags != 0) ^ own;
      store<u64>(crcs + (<usize>place << 3), own);
      store<u8>(kinds + place, <u8>flags);
      memory.copy(out + load<u32>(offsets + (<usize>place << 2)), src, total);
    }
    if (sum) all ^= pageChecksum(pgno, page, pageSize);
    src += total;
  }
  store<u64>(state, crc);
  store<u64>(state, load<u64>(state, 8) ^ all, 8);
  store<u32>(RESULT + 8, <u32>(src - start));
  store<u32>(RESULT + 12, fault);
  return i;
}
