import { LtxDecoder } from '../codec/decoder.ts';
import type { FrameBatch, LtxDecoderOptions } from '../codec/decoder.ts';
import type { LtxTrailer } from '../format/trailer.ts';

/**
 * A position in the frames of one input that only moves forward: synchronously within a batch, asynchronously to the
 * next one.
 */
export class Cursor {
  readonly decoder: LtxDecoder;
  /** Position of the input in the merge: higher is newer. */
  readonly rank: number;
  #batches: AsyncIterator<FrameBatch> | undefined;
  #batch: FrameBatch | undefined;
  #at = 0;
  #frameAt = 0;
  #lastPgno = Infinity;
  #trailer: LtxTrailer | undefined;

  constructor(source: AsyncIterable<Uint8Array>, rank: number, options: LtxDecoderOptions) {
    this.decoder = new LtxDecoder(source, options);
    this.rank = rank;
  }

  /** The loaded batch; undefined at the end, which is reached only once all of the input is verified. */
  get batch(): FrameBatch | undefined {
    return this.#batch;
  }

  /** Index of the current frame in the batch. */
  get at(): number {
    return this.#at;
  }

  /** Offset of that frame among the batch's frames. */
  get frameAt(): number {
    return this.#frameAt;
  }

  /** Have all frames of the batch been passed? */
  get isSpent(): boolean {
    return this.#batch !== undefined && this.#at === this.#batch.pgnos.length;
  }

  /** The last page of the batch. */
  get lastPgno(): number {
    return this.#lastPgno;
  }

  /** The trailer of the input, once its end is reached. */
  get trailer(): LtxTrailer | undefined {
    return this.#trailer;
  }

  /** Passes one frame. */
  advance(): void {
    this.#frameAt += this.#batch?.sizes[this.#at] ?? 0;
    this.#at += 1;
  }

  /** Loads the next batch, the first one at the start. */
  async load(): Promise<void> {
    this.#batches ??= this.decoder.frames()[Symbol.asyncIterator]();
    const next = await this.#batches.next();
    this.#at = 0;
    this.#frameAt = 0;
    if (next.done !== true) {
      this.#batch = next.value;
      this.#lastPgno = next.value.pgnos.at(-1) ?? Infinity;
      return;
    }
    this.#batch = undefined;
    this.#lastPgno = Infinity;
    this.#trailer = await this.decoder.finish();
  }
}
