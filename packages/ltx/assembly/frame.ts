// The headers of a page frame, as they stand in a file: page number, flags, and where flags say so a size.

import { step16, step32 } from './crc64';

/** A compressed size and an LZ4 block follow; without it, an LZ4 frame does. */
export const FLAG_SIZE: u32 = 1;

/** Raw checksum state after a frame's headers, as they stand in the file. */
// @ts-ignore: decorator
@inline
export function headers(state: u64, pgno: u32, flags: u32, size: u32): u64 {
  state = step32(state, bswap(pgno));
  state = step16(state, flags << 8);
  return flags ? step32(state, bswap(size)) : state;
}
