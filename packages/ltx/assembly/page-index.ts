// Page indexes, as fast as they can be read. What is wrong with a bad one, JavaScript finds out.

const HEADER_SIZE: u64 = 100;
/** Page header, and at least one byte of a legacy frame or block. */
const FRAME_SIZE_MIN: u64 = 11;
/** The longest frame of the largest page. */
const FRAME_SIZE_MAX: u64 = 2 * 65536 + 1024;
const OFFSET_MAX: u64 = (1 << 53) - 1;
const BAD: u64 = u64.MAX_VALUE;

let cursor: usize = 0;

/** The number at `cursor`, which moves past it; BAD if it is above `max`, not in its shortest form, or cut off by `end`. */
function number(end: usize, max: u64): u64 {
  let value: u64 = 0;
  let shift: u64 = 0;
  const start = cursor;
  while (cursor < end) {
    const byte = <u64>load<u8>(cursor++);
    if (cursor - start > 8) return BAD;
    value |= (byte & 127) << shift;
    if (byte < 128) return value > max || (byte == 0 && cursor - start > 1) ? BAD : value;
    shift += 7;
  }
  return BAD;
}

/**
 * Reads the entries of an index, `length` bytes at `src` without its end mark, to `pgnos` and `sizes`, three bytes of
 * index an entry at the most. Returns their number, or -1 unless page numbers are as they have to be in a file of `commit`
 * pages, a `snapshot` or not, and frames stand one behind the other up to `pagesEnd`.
 */
export function parseIndex(
  src: usize,
  length: usize,
  pgnos: usize,
  sizes: usize,
  commit: u32,
  lock: u32,
  snapshot: bool,
  pagesEnd: f64,
): i32 {
  const end = src + length;
  let expected = HEADER_SIZE;
  let last: u64 = 0;
  let count = 0;
  cursor = src;
  while (cursor < end) {
    const pgno = number(end, commit);
    if (pgno == BAD || pgno <= last || pgno == lock) return -1;
    if (snapshot && pgno != last + (last + 1 == lock ? 2 : 1)) return -1;
    if (number(end, OFFSET_MAX) != expected) return -1;
    const size = number(end, FRAME_SIZE_MAX);
    if (size == BAD || size < FRAME_SIZE_MIN) return -1;
    store<u32>(pgnos + (<usize>count << 2), <u32>pgno);
    store<u32>(sizes + (<usize>count << 2), <u32>size);
    expected += size;
    last = pgno;
    count++;
  }
  if (snapshot && last + (last + 1 == lock ? 2 : 1) <= commit) return -1;
  return expected == <u64>pagesEnd ? count : -1;
}
