// The checksum of SQLite's write-ahead log: two running sums over pairs of 32-bit words, in the byte order that the
// log's header names. https://www.sqlite.org/fileformat2.html#checksum_algorithm

import { RESULT } from './result';

let s0: u32 = 0;
let s1: u32 = 0;

// @ts-ignore: decorator
@inline
function sum(ptr: usize, length: usize, big: bool): void {
  let a = s0;
  let b = s1;
  const end = ptr + length;
  if (big) {
    while (ptr < end) {
      a += bswap(load<u32>(ptr)) + b;
      b += bswap(load<u32>(ptr, 4)) + a;
      ptr += 8;
    }
  } else {
    while (ptr < end) {
      a += load<u32>(ptr) + b;
      b += load<u32>(ptr, 4) + a;
      ptr += 8;
    }
  }
  s0 = a;
  s1 = b;
}

/** Sums to RESULT +0 and +4. */
export function walChecksum(ptr: usize, length: usize, big: bool, seed0: u32, seed1: u32): void {
  s0 = seed0;
  s1 = seed1;
  sum(ptr, length, big);
  store<u32>(RESULT, s0);
  store<u32>(RESULT + 4, s1);
}

/**
 * Counts the valid frames at the start of `count`. RESULT: sums after the last valid frame +0 +4, sums after the last
 * commit +8 +12, index of the last commit frame +16 (-1: none).
 */
export function walFrames(
  ptr: usize,
  count: i32,
  pageSize: usize,
  big: bool,
  salt1: u32,
  salt2: u32,
  seed0: u32,
  seed1: u32,
  pgnos: usize,
  commits: usize,
): i32 {
  s0 = seed0;
  s1 = seed1;
  let valid0 = seed0;
  let valid1 = seed1;
  let commit0 = seed0;
  let commit1 = seed1;
  let lastCommit = -1;
  let i = 0;
  for (; i < count; i++) {
    const pgno = bswap(load<u32>(ptr));
    if (pgno == 0 || bswap(load<u32>(ptr, 8)) != salt1 || bswap(load<u32>(ptr, 12)) != salt2) break;
    sum(ptr, 8, big);
    sum(ptr + 24, pageSize, big);
    if (bswap(load<u32>(ptr, 16)) != s0 || bswap(load<u32>(ptr, 20)) != s1) break;
    valid0 = s0;
    valid1 = s1;
    const commit = bswap(load<u32>(ptr, 4));
    store<u32>(pgnos, pgno);
    store<u32>(commits, commit);
    if (commit != 0) {
      lastCommit = i;
      commit0 = s0;
      commit1 = s1;
    }
    pgnos += 4;
    commits += 4;
    ptr += 24 + pageSize;
  }
  store<u32>(RESULT, valid0);
  store<u32>(RESULT + 4, valid1);
  store<u32>(RESULT + 8, commit0);
  store<u32>(RESULT + 12, commit1);
  store<i32>(RESULT + 16, lastCommit);
  return i;
}
