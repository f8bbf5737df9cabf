// CRC-64/GO-ISO: P = x^64 + x^4 + x^3 + x + 1, reflected (the lowest bit of a word is its highest power).
//
// P is so sparse that multiples of x fold with shifts and xors alone, and no table is needed:
//   x^64  ≡ x^4 + x^3 + x + 1           = (1 + x)(1 + x^3)
//   x^512 ≡ x^32 + x^24 + x^8 + 1       = (1 + x^8)(1 + x^24)      (the 8th power of the line above)
// The second is a move by whole bytes, which SIMD does with one shuffle of two neighbours.

/** c · x^64 mod P. */
// @ts-ignore: decorator
@inline
export function reduce(c: u64): u64 {
  const t = c ^ (c >> 1);
  // What the shifts push out below bit 0 is a multiple of x^64 itself: fold it again.
  const v = (c << 60) ^ (c << 61) ^ (c << 63);
  const w = v ^ (v >> 1);
  return t ^ (t >> 3) ^ w ^ (w >> 3);
}

/** Raw state (no inversion) after fewer than 8 bytes. */
// @ts-ignore: decorator
@inline
function tail(state: u64, ptr: usize, length: usize): u64 {
  let word: u64 = 0;
  let at: usize = 0;
  if (length & 4) {
    word = load<u32>(ptr);
    at = 4;
  }
  if (length & 2) {
    word |= (<u64>load<u16>(ptr + at)) << (at << 3);
    at += 2;
  }
  if (length & 1) word |= (<u64>load<u8>(ptr + at)) << (at << 3);
  const bits: u64 = length << 3;
  return (state >> bits) ^ reduce((state ^ word) << (64 - bits));
}

/** Raw state after `length` bytes, a word at a time. */
// @ts-ignore: decorator
@inline
function words(state: u64, ptr: usize, length: usize): u64 {
  const end = ptr + (length & ~7);
  while (ptr < end) {
    state = reduce(state ^ load<u64>(ptr));
    ptr += 8;
  }
  return length & 7 ? tail(state, ptr, length & 7) : state;
}

/** Raw state after the six or ten bytes of a frame's headers, given as a word of the first eight and what follows. */
// @ts-ignore: decorator
@inline
export function step32(state: u64, value: u32): u64 {
  return (state >> 32) ^ reduce((state ^ value) << 32);
}

/** Raw state after `value`'s low 16 bits. */
// @ts-ignore: decorator
@inline
export function step16(state: u64, value: u32): u64 {
  return (state >> 16) ^ reduce((state ^ value) << 48);
}

/** Raw state after `length` bytes at `ptr`. */
export function update(state: u64, ptr: usize, length: usize): u64 {
  if (length < 128) return words(state, ptr, length);
  let a = v128.xor(v128.load(ptr), i64x2(state, 0));
  let b = v128.load(ptr, 16);
  let c = v128.load(ptr, 32);
  let d = v128.load(ptr, 48);
  const end = ptr + (length & ~63);
  ptr += 64;
  const zero = i64x2.splat(0);
  while (ptr < end) {
    // The 32 bits that (1 + x^8)(1 + x^24) moves past the front return at the back, folded once more.
    const first = <u64>i64x2.extract_lane(a, 0);
    const over = (first << 56) ^ (first << 40) ^ (first << 32);
    const o1 = over ^ (over >> 8);
    const back = o1 ^ (o1 >> 24);
    // Times 1 + x^8: each byte takes its right neighbour.
    a = v128.xor(a, v128.shuffle<u8>(a, b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
    b = v128.xor(b, v128.shuffle<u8>(b, c, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
    c = v128.xor(c, v128.shuffle<u8>(c, d, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
    d = v128.xor(d, v128.shuffle<u8>(d, zero, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
    // Times 1 + x^24: the byte three to the right. Then the next 64 bytes.
    a = v128.xor(
      v128.xor(a, v128.load(ptr)),
      v128.shuffle<u8>(a, b, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18),
    );
    b = v128.xor(
      v128.xor(b, v128.load(ptr, 16)),
      v128.shuffle<u8>(b, c, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18),
    );
    c = v128.xor(
      v128.xor(c, v128.load(ptr, 32)),
      v128.shuffle<u8>(c, d, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18),
    );
    d = v128.xor(
      v128.xor(v128.xor(d, v128.load(ptr, 48)), i64x2(0, back)),
      v128.shuffle<u8>(d, zero, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18),
    );
    ptr += 64;
  }
  state = reduce(<u64>i64x2.extract_lane(a, 0));
  state = reduce(state ^ <u64>i64x2.extract_lane(a, 1));
  state = reduce(state ^ <u64>i64x2.extract_lane(b, 0));
  state = reduce(state ^ <u64>i64x2.extract_lane(b, 1));
  state = reduce(state ^ <u64>i64x2.extract_lane(c, 0));
  state = reduce(state ^ <u64>i64x2.extract_lane(c, 1));
  state = reduce(state ^ <u64>i64x2.extract_lane(d, 0));
  state = reduce(state ^ <u64>i64x2.extract_lane(d, 1));
  return words(state, ptr, length & 63);
}

/** What a page adds to the database checksum: the CRC of its number and its bytes, with the flag. */
export function pageChecksum(pgno: u32, page: usize, pageSize: usize): u64 {
  return (1 << 63) | ~update(step32(~0, bswap(pgno)), page, pageSize);
}

/**
 * Another checksum of a page. A CRC is linear: the xor of many does not show that the same bytes changed in two pages, or that two
 * pages were swapped. This one is not linear: the CRC goes through the finalizer of MurmurHash3, a bijection.
 */
export function pageHash(pgno: u32, page: usize, pageSize: usize): u64 {
  return finalize(~update(step32(~0, bswap(pgno)), page, pageSize));
}

// @ts-ignore: decorator
@inline
function finalize(crc: u64): u64 {
  let hash = (crc ^ (crc >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return (1 << 63) | (hash ^ (hash >> 33));
}

/** Raw state after a page, which is read once; its hash, as `pageHash` gives it, goes to `sum`. After `setPowers`. */
export function updateAndHash(state: u64, pgno: u32, page: usize, pageSize: usize, sum: usize): u64 {
  const own = update(0, page, pageSize);
  store<u64>(sum, finalize(~(times(OVER_PAGE, step32(~0, bswap(pgno))) ^ own)));
  return times(OVER_PAGE, state) ^ own;
}

/** a · b mod P, reflected. */
export function multiply(a: u64, b: u64): u64 {
  let product: u64 = 0;
  for (let i = 0; i < 64; i++) {
    // Bit 63 of a is its power 0. Without branches, which nobody could predict.
    product ^= b & (0 - (a >> 63));
    a <<= 1;
    b = (b >> 1) ^ (0xd800000000000000 & (0 - (b & 1)));
  }
  return product;
}

// A CRC is moved past bytes that are known by their own CRC: times a power of x, which is linear. Eight tables give the product of
// each byte of a CRC, since page sizes seldom change and a product takes a quarter of the time of reading a page.

const TABLES_SIZE: usize = 8 * 256 * 8;
/** Past a page. */
const OVER_PAGE: usize = memory.data(8 * 256 * 8, 8);
/** Past a page and its headers, with a size. */
const OVER_BLOCK: usize = memory.data(8 * 256 * 8, 8);
/** Past a page and its headers, without a size. */
const OVER_FRAME: usize = memory.data(8 * 256 * 8, 8);

let tablesOf: usize = 0;

/** Makes the tables for pages of this size. */
export function setPowers(pageSize: usize): void {
  if (tablesOf == pageSize) return;
  fillTables(OVER_PAGE, combine(1 << 63, 0, pageSize));
  fillTables(OVER_BLOCK, combine(1 << 63, 0, pageSize + 10));
  fillTables(OVER_FRAME, combine(1 << 63, 0, pageSize + 6));
  tablesOf = pageSize;
}

function fillTables(tables: usize, power: u64): void {
  for (let at: usize = 0; at < TABLES_SIZE; at += 256 * 8) {
    store<u64>(tables + at, 0);
    const shift: u64 = at >> 8;
    for (let bit: usize = 0; bit < 8; bit++) {
      const product = multiply((<u64>1) << (shift + bit), power);
      const count: usize = 1 << bit;
      // The product of a sum is the sum of the products.
      for (let low: usize = 0; low < count; low++) {
        store<u64>(tables + at + ((count + low) << 3), product ^ load<u64>(tables + at + (low << 3)));
      }
    }
  }
}

/** The product of `crc` and the power that the tables were made for. */
// @ts-ignore: decorator
@inline
function times(tables: usize, crc: u64): u64 {
  return (
    load<u64>(tables + ((<usize>crc & 255) << 3)) ^
    load<u64>(tables + ((<usize>(crc >> 8) & 255) << 3), 2048) ^
    load<u64>(tables + ((<usize>(crc >> 16) & 255) << 3), 4096) ^
    load<u64>(tables + ((<usize>(crc >> 24) & 255) << 3), 6144) ^
    load<u64>(tables + ((<usize>(crc >> 32) & 255) << 3), 8192) ^
    load<u64>(tables + ((<usize>(crc >> 40) & 255) << 3), 10240) ^
    load<u64>(tables + ((<usize>(crc >> 48) & 255) << 3), 12288) ^
    load<u64>(tables + (<usize>(crc >> 56) << 3), 14336)
  );
}

/** Moves a CRC past a frame: `hasSize` says whether its headers have a size. After `setPowers`. */
export function pastFrame(crc: u64, hasSize: bool): u64 {
  return hasSize ? times(OVER_BLOCK, crc) : times(OVER_FRAME, crc);
}

/** CRC of A‖B from the CRCs of A and B and B's length: a · x^(8·length) + b. */
export function combine(a: u64, b: u64, length: u64): u64 {
  let power: u64 = 1 << 55; // x^8
  while (length != 0) {
    if (length & 1) a = multiply(a, power);
    power = multiply(power, power);
    length >>= 1;
  }
  return a ^ b;
}
