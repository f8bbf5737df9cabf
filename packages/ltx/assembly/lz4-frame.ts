// LZ4 frames, as older LTX files hold one a page. Strict: version 1, no dictionary, every checksum present is verified.

import { decodeBlock } from './lz4-decode';
import { xxh32 } from './xxh32';

export const FRAME_CUT: i32 = -1;
export const FRAME_BAD: i32 = -2;
export const FRAME_SUM: i32 = -3;

/**
 * Decodes the frame at `src` into exactly the bytes from `out` to `outEnd`. Returns the frame's size, or FRAME_CUT if
 * it goes on past `srcEnd`, FRAME_BAD if it is malformed, FRAME_SUM if a checksum in it is wrong.
 */
export function decodeFrame(src: usize, srcEnd: usize, out: usize, outEnd: usize): i32 {
  const start = src;
  if (srcEnd - src < 7) return FRAME_CUT;
  if (load<u32>(src) != 0x184d2204) return FRAME_BAD;
  const flags = <u32>load<u8>(src + 4);
  const descriptor = <u32>load<u8>(src + 5);
  const blockCode = (descriptor >> 4) & 7;
  // Version 01, reserved bits zero, no dictionary.
  if (flags >> 6 != 1 || (flags & 3) != 0 || (descriptor & 0x8f) != 0 || blockCode < 4) return FRAME_BAD;
  const independent = (flags & 32) != 0;
  const blockSums = (flags & 16) != 0;
  const contentSize = (flags & 8) != 0;
  const contentSum = (flags & 4) != 0;
  const blockMax: u32 = 1 << (8 + 2 * blockCode);
  src += 6;
  if (contentSize) {
    if (srcEnd - src < 9) return FRAME_CUT;
    if (load<u64>(src) != <u64>(outEnd - out)) return FRAME_BAD;
    src += 8;
  }
  if (<u32>load<u8>(src) != ((xxh32(start + 4, src - start - 4) >> 8) & 255)) return FRAME_SUM;
  src++;

  const page = out;
  while (true) {
    if (srcEnd - src < 4) return FRAME_CUT;
    const word = load<u32>(src);
    src += 4;
    if (word == 0) break;
    const size = word & 0x7fffffff;
    if (size == 0 || size > blockMax || size > 2 * <u32>(outEnd - page) + 64) return FRAME_BAD;
    if (<usize>size + (blockSums ? 4 : 0) > srcEnd - src) return FRAME_CUT;
    if (blockSums && load<u32>(src + size) != xxh32(src, size)) return FRAME_SUM;
    if (word >> 31) {
      if (<usize>size > outEnd - out) return FRAME_BAD;
      memory.copy(out, src, size);
      out += size;
    } else {
      out = decodeBlock(src, size, out, outEnd, independent ? out : page);
      if (out == 0) return FRAME_BAD;
    }
    src += size + (blockSums ? 4 : 0);
  }
  if (out != outEnd) return FRAME_BAD;
  if (contentSum) {
    if (srcEnd - src < 4) return FRAME_CUT;
    if (load<u32>(src) != xxh32(page, outEnd - page)) return FRAME_SUM;
    src += 4;
  }
  return <i32>(src - start);
}
