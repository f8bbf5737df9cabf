import type { LtxHeader } from './header.ts';
import type { LtxTrailer } from './trailer.ts';

/** Some pages of a file: views valid until the next batch. */
export interface PageBatch {
  readonly pgnos: Uint32Array;
  /** Bytes of each frame. */
  readonly sizes: Uint32Array;
  /** The frames as they stand in the file. */
  readonly frames: Uint8Array;
  /** Their content: `pgnos.length × pageSize` bytes. */
  readonly pages: Uint8Array;
}

export interface LtxDecoderOptions {
  /** Name of the file, for errors. */
  readonly file?: string;
}

/** Reads a file from start to end in bounded memory and verifies all of it. Throws `LtxError` on the slightest doubt. */
export class LtxDecoder {
  constructor(source: AsyncIterable<Uint8Array>, options: LtxDecoderOptions = {}) {
    throw new Error(`not built yet: ${String(source)} ${options.file}`);
  }

  async header(): Promise<LtxHeader> {
    throw new Error('not built yet');
  }

  /** The pages, to their end. */
  batches(): AsyncIterable<PageBatch> {
    throw new Error('not built yet');
  }

  /** Reads and verifies index and trailer. */
  async finish(): Promise<LtxTrailer & { size: number }> {
    throw new Error('not built yet');
  }
}

/** Reads a whole file and throws `LtxError` unless everything in it holds. */
export async function verifyLtx(
  source: AsyncIterable<Uint8Array>,
  options: LtxDecoderOptions = {},
): Promise<{ header: LtxHeader; trailer: LtxTrailer; pageCount: number; size: number }> {
  throw new Error(`not built yet: ${String(source)} ${options.file}`);
}
