/** Three varints: a page number of 5 bytes, an offset of 8 (below 2^53), a size of 3. */
const ENTRY_SIZE_MAX = 16;

/** Encodes page index entries of consecutive frames, which begin at the end of the header. */
export class IndexWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;
  #offset: number;

  constructor(firstOffset: number) {
    this.#offset = firstOffset;
  }

  /** Adds frames in the order of the file. */
  add(pgnos: ArrayLike<number>, sizes: ArrayLike<number>): void {
    this.#grow(pgnos.length * ENTRY_SIZE_MAX);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < pgnos.length; i += 1) {
      const size = sizes[i] ?? 0;
      at = putVarint(bytes, at, pgnos[i] ?? 0);
      at = putVarint(bytes, at, this.#offset);
      at = putVarint(bytes, at, size);
      this.#offset += size;
    }
    this.#length = at;
  }

  /** The entries since the last `take`: a view that is valid until the next `add`. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return taken;
  }

  #grow(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + extra));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}

/** The end of an index of `length` bytes: a zero byte, then the size of the index with that byte as u64. */
export function indexEnd(length: number): Uint8Array {
  const bytes = new Uint8Array(9);
  new DataView(bytes.buffer).setBigUint64(1, BigInt(length + 1));
  return bytes;
}

function putVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  // Offsets can exceed 2^32, the limit of bit operations.
  while (rest >= 0x80000000) {
    bytes[at] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
    at += 1;
  }
  while (rest >= 128) {
    bytes[at] = (rest & 127) | 128;
    rest >>>= 7;
    at += 1;
  }
  bytes[at] = rest;
  return at + 1;
}
