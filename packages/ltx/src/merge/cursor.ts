import { LtxDecoder } from '../decoder.ts';
import type { LtxDecoderOptions, PageBatch } from '../decoder.ts';
import type { LtxTrailer } from '../trailer.ts';

/** A place among the pages of one input, moving forward only. */
export class Cursor {
  readonly decoder: LtxDecoder;
  /** Position of the input in the merge: higher is newer. */
  readonly rank: number;
  #batches: AsyncIterator<PageBatch> | undefined;
  #batch: PageBatch | undefined;
  #at = 0;
  #frameAt = 0;
  #trailer: LtxTrailer | undefined;

  constructor(source: AsyncIterable<Uint8Array>, rank: number, options: LtxDecoderOptions) {
    this.decoder = new LtxDecoder(source, options);
    this.rank = rank;
  }

  /** The page the cursor stands at; undefined at the end, which is reached only once all of the input is verified. */
  get pgno(): number | undefined {
    return this.#batch?.pgnos[this.#at];
  }

  /** What the input ended with, once it did. */
  get trailer(): LtxTrailer | undefined {
    return this.#trailer;
  }

  /** Goes to the first page. */
  async start(): Promise<void> {
    this.#batches = this.decoder.batches()[Symbol.asyncIterator]();
    await this.#load();
  }

  /** The pages from here that precede `limit`, at most `countMax` of them and those in this batch: views. */
  peek(limit: number, countMax: number, frameSizeMax: number): PageBatch {
    const batch = this.#batch;
    if (batch === undefined) throw new RangeError('the cursor is at its end');
    let end = this.#at;
    let frameEnd = this.#frameAt;
    while (end < batch.pgnos.length && end - this.#at < countMax && (batch.pgnos[end] ?? 0) < limit) {
      const size = batch.sizes[end] ?? 0;
      if (frameEnd + size - this.#frameAt > frameSizeMax) break;
      frameEnd += size;
      end += 1;
    }
    const pageSize = batch.pages.length / batch.pgnos.length;
    return {
      pgnos: batch.pgnos.subarray(this.#at, end),
      sizes: batch.sizes.subarray(this.#at, end),
      frames: batch.frames.subarray(this.#frameAt, frameEnd),
      pages: batch.pages.subarray(this.#at * pageSize, end * pageSize),
    };
  }

  /** Passes pages. */
  async skip(count: number): Promise<void> {
    const batch = this.#batch;
    if (batch === undefined) return;
    for (let i = 0; i < count; i += 1) this.#frameAt += batch.sizes[this.#at + i] ?? 0;
    this.#at += count;
    if (this.#at === batch.pgnos.length) await this.#load();
  }

  /** Passes all that is left: it is of no use to the output, but must hold all the same. */
  async drain(): Promise<void> {
    while (this.#batch !== undefined) await this.#load();
  }

  async #load(): Promise<void> {
    const next = await this.#batches?.next();
    this.#at = 0;
    this.#frameAt = 0;
    if (next?.done === false) {
      this.#batch = next.value;
      return;
    }
    this.#batch = undefined;
    this.#trailer = await this.decoder.finish();
  }
}
