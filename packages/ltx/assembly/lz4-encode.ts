// LZ4 block compression, greedy, one block a page.

// Positions by hash of four bytes, as absolute addresses: what stands below the page's own start is of an earlier page
// of the batch and therefore no match, so the table needs no reset between pages.
const TABLE: usize = memory.data(4 << 13, 16);
const MATCH_MIN: usize = 4;
/** The last sequence is literals only, five bytes at least, and no match starts in the last twelve. */
const LITERALS_LAST: usize = 5;
const MATCH_START_LIMIT: usize = 12;

/** Forgets all positions: once a batch, since batches reuse addresses. */
export function resetTable(): void {
  memory.fill(TABLE, 0, 4 << 13);
}

// @ts-ignore: decorator
@inline
function slot(ptr: usize, shift: u32): usize {
  return TABLE + <usize>(((load<u32>(ptr) * 2654435761) >> shift) << 2);
}

// @ts-ignore: decorator
@inline
function putLength(out: usize, length: usize): usize {
  while (length >= 255) {
    store<u8>(out++, 255);
    length -= 255;
  }
  store<u8>(out, <u8>length);
  return out + 1;
}

// @ts-ignore: decorator
@inline
function copyLiterals(out: usize, from: usize, length: usize): void {
  const end = out + length;
  do {
    v128.store(out, v128.load(from));
    out += 16;
    from += 16;
  } while (out < end);
}

/**
 * Compresses `length` bytes at `src` to `out` and returns the compressed size. `out` has room for the bound of the
 * size and 32 bytes more, which the copies by sixteen bytes may overwrite; as many may be read past `src`.
 */
export function encodeBlock(src: usize, length: usize, out: usize): usize {
  const start = out;
  const end = src + length;
  const matchEnd = end - LITERALS_LAST;
  const limit = end - MATCH_START_LIMIT;
  const shift: u32 = length > 16384 ? 19 : 20;
  let anchor = src;
  let at = src;
  let literals: usize;
  let token: usize;

  store<u32>(slot(at, shift), <u32>at);
  at++;
  while (true) {
    // Look for four bytes seen before, with longer strides the longer nothing is found.
    let candidate: usize;
    let tries: usize = 1 << 6;
    let next = at;
    do {
      at = next;
      next += tries++ >> 6;
      if (next > limit) {
        at = 0;
        candidate = 0;
        break;
      }
      const entry = slot(at, shift);
      candidate = load<u32>(entry);
      store<u32>(entry, <u32>at);
    } while (candidate < src || load<u32>(candidate) != load<u32>(at));
    if (at == 0) break;

    while (at > anchor && candidate > src && load<u8>(at - 1) == load<u8>(candidate - 1)) {
      at--;
      candidate--;
    }
    literals = at - anchor;
    token = out++;
    if (literals >= 15) {
      store<u8>(token, 0xf0);
      out = putLength(out, literals - 15);
    } else {
      store<u8>(token, <u8>(literals << 4));
    }
    copyLiterals(out, anchor, literals);
    out += literals;

    while (true) {
      store<u16>(out, <u16>(at - candidate));
      out += 2;
      let a = at + MATCH_MIN;
      let b = candidate + MATCH_MIN;
      let differs = false;
      while (a + 8 <= matchEnd) {
        const diff = load<u64>(a) ^ load<u64>(b);
        if (diff != 0) {
          a += <usize>(ctz(diff) >> 3);
          differs = true;
          break;
        }
        a += 8;
        b += 8;
      }
      if (!differs) {
        while (a < matchEnd && load<u8>(a) == load<u8>(b)) {
          a++;
          b++;
        }
      }
      const extra = a - at - MATCH_MIN;
      if (extra >= 15) {
        store<u8>(token, load<u8>(token) | 15);
        out = putLength(out, extra - 15);
      } else {
        store<u8>(token, load<u8>(token) | <u8>extra);
      }
      at = a;
      anchor = at;
      if (at >= limit) break;
      store<u32>(slot(at - 2, shift), <u32>(at - 2));
      // A match right behind the last one needs no literals.
      const entry = slot(at, shift);
      candidate = load<u32>(entry);
      store<u32>(entry, <u32>at);
      if (candidate < src || load<u32>(candidate) != load<u32>(at)) break;
      token = out++;
      store<u8>(token, 0);
    }
    if (at >= limit) break;
    at++;
  }

  literals = end - anchor;
  token = out++;
  if (literals >= 15) {
    store<u8>(token, 0xf0);
    out = putLength(out, literals - 15);
  } else {
    store<u8>(token, <u8>(literals << 4));
  }
  copyLiterals(out, anchor, literals);
  return out + literals - start;
}
