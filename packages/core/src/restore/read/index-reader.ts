/**
 * The page index of an LTX file, read as a stream: memory does not grow with the file. Each entry is an unsigned varint
 * triple of page number, offset and frame size; a zero byte ends them.
 */
import { corrupt } from './ltx-errors.ts';

/** A run of frames that lie one after the other in the file. */
export interface FrameRange {
  /** Offset of the first frame's header. */
  readonly offset: number;
  /** Bytes of all frames together. */
  readonly size: number;
  readonly pgnos: Uint32Array;
  /** Bytes of each frame. */
  readonly sizes: Uint32Array;
}

export interface RangeLimits {
  /** Bytes of frames after which a range ends. */
  readonly sizeMax: number;
  /** Pages after which a range ends. */
  readonly pageCountMax: number;
}

/** Where the frames must lie: `[start, end)`. */
export interface FrameSpan {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Cuts the frames an index describes into ranges. Refuses an index that does not describe, in ascending page order,
 * every byte of the span exactly once.
 */
export async function* readFrameRanges(
  chunks: AsyncIterable<Uint8Array>,
  span: FrameSpan,
  limits: RangeLimits,
): AsyncGenerator<FrameRange, void, undefined> {
  const parser = new IndexParser(span, limits);
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length;) {
      from = parser.push(chunk, from);
      const range = parser.take();
      if (range !== undefined) yield range;
    }
  }
  const last = parser.finish();
  if (last !== undefined) yield last;
}

class IndexParser {
  readonly #span: FrameSpan;
  readonly #limits: RangeLimits;
  readonly #pgnos: Uint32Array;
  readonly #sizes: Uint32Array;
  #count = 0;
  #start: number;
  #next: number;
  #pgnoLast = 0;
  #full = false;
  #ended = false;
  // State of the current varint, which may lie across two chunks.
  #value = 0;
  #scale = 1;
  #field = 0;
  #pgno = 0;

  constructor(span: FrameSpan, limits: RangeLimits) {
    this.#span = span;
    this.#limits = limits;
    this.#pgnos = new Uint32Array(limits.pageCountMax);
    this.#sizes = new Uint32Array(limits.pageCountMax);
    this.#start = span.start;
    this.#next = span.start;
  }

  /** Reads entries from `from` until the chunk ends or a range is full; returns where it stopped. */
  push(chunk: Uint8Array, from: number): number {
    let index = from;
    while (index < chunk.length && !this.#full) {
      if (this.#ended) throw this.#bad('has bytes after its end');
      const byte = chunk[index++] ?? 0;
      this.#value += (byte & 0x7f) * this.#scale;
      if (byte < 0x80) {
        this.#takeField(this.#value);
        this.#value = 0;
        this.#scale = 1;
      } else {
        this.#scale *= 128;
        if (this.#scale > 2 ** 49) throw this.#bad('holds a number that is too large');
      }
    }
    return index;
  }

  #takeField(value: number): void {
    if (this.#field === 0) {
      if (value === 0) this.#ended = true;
      else if (value <= this.#pgnoLast || value > 0xffffffff) throw this.#bad(`is out of order at page ${value}`);
      else this.#field = 1;
      this.#pgno = value;
    } else if (this.#field === 1) {
      if (value !== this.#next) throw this.#bad(`places page ${this.#pgno} at byte ${value}, not ${this.#next}`);
      this.#field = 2;
    } else {
      this.#field = 0;
      this.#add(this.#pgno, value);
    }
  }

  #add(pgno: number, size: number): void {
    if (size <= 6 || this.#next + size > this.#span.end) throw this.#bad(`gives page ${pgno} ${size} bytes`);
    this.#pgnos[this.#count] = pgno;
    this.#sizes[this.#count] = size;
    this.#count++;
    this.#pgnoLast = pgno;
    this.#next += size;
    this.#full = this.#count === this.#limits.pageCountMax || this.#next - this.#start >= this.#limits.sizeMax;
  }

  /** The range that is full, if one is. */
  take(): FrameRange | undefined {
    return this.#full ? this.#cut() : undefined;
  }

  finish(): FrameRange | undefined {
    if (!this.#ended || this.#next !== this.#span.end) throw this.#bad('does not cover all pages');
    return this.#count === 0 ? undefined : this.#cut();
  }

  #cut(): FrameRange {
    const range: FrameRange = {
      offset: this.#start,
      size: this.#next - this.#start,
      pgnos: this.#pgnos.slice(0, this.#count),
      sizes: this.#sizes.slice(0, this.#count),
    };
    this.#start = this.#next;
    this.#count = 0;
    this.#full = false;
    return range;
  }

  #bad(what: string): Error {
    return corrupt(this.#span.name, `its page index ${what}`);
  }
}
