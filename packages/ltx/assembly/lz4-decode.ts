// LZ4 block decompression, bounds-checked against hostile input.

// For a match nearer than 16 bytes: which byte of the pattern goes to each of the sixteen places.
const PATTERNS: usize = memory.data(16 * 16, 16);

export function initPatterns(): void {
  for (let distance: usize = 1; distance < 16; distance++) {
    for (let i: usize = 0; i < 16; i++) store<u8>(PATTERNS + (distance << 4) + i, <u8>(i % distance));
  }
}

/**
 * Decodes one block of `length` bytes at `src` to `out`, and returns the end of what it wrote, or 0 if the block is
 * malformed or would pass `outEnd`. Matches reach back to `base`, no further. Up to 32 bytes after `outEnd` may be
 * overwritten and as many after the source read: both lie within the kernel's memory.
 */
export function decodeBlock(src: usize, length: usize, out: usize, outEnd: usize, base: usize): usize {
  const end = src + length;
  while (src < end) {
    const token = <usize>load<u8>(src++);
    let literals = token >> 4;
    if (literals == 15) {
      let more: usize;
      do {
        if (src >= end) return 0;
        more = load<u8>(src++);
        literals += more;
        // A run of 255s cannot wrap the sum: the source is far smaller than 2^24 bytes.
      } while (more == 255);
    }
    if (literals > end - src || literals > outEnd - out) return 0;
    v128.store(out, v128.load(src));
    if (literals > 16) {
      let to = out + 16;
      let from = src + 16;
      const stop = out + literals;
      do {
        v128.store(to, v128.load(from));
        to += 16;
        from += 16;
      } while (to < stop);
    }
    out += literals;
    src += literals;
    // The last sequence has no match.
    if (src == end) return token & 15 ? 0 : out;

    if (end - src < 2) return 0;
    const distance = <usize>load<u16>(src);
    src += 2;
    if (distance == 0 || distance > out - base) return 0;
    let size = token & 15;
    if (size == 15) {
      let more: usize;
      do {
        if (src >= end) return 0;
        more = load<u8>(src++);
        size += more;
      } while (more == 255);
    }
    size += 4;
    if (size > outEnd - out) return 0;
    const stop = out + size;
    let from = out - distance;
    if (distance >= 16) {
      // Most are short: two steps at once, whatever is needed, cost less than a branch that nobody can predict.
      v128.store(out, v128.load(from));
      v128.store(out, v128.load(from, 16), 16);
      if (size > 32) {
        out += 32;
        from += 32;
        do {
          v128.store(out, v128.load(from));
          out += 16;
          from += 16;
        } while (out < stop);
      }
    } else {
      // Repeat the pattern; a step is the largest multiple of its length within sixteen bytes.
      const pattern = v128.swizzle(v128.load(from), v128.load(PATTERNS + (distance << 4)));
      const step = 16 - (16 % distance);
      do {
        v128.store(out, pattern);
        out += step;
      } while (out < stop);
    }
    out = stop;
  }
  return 0;
}
