import { LtxDecoder } from './decoder.ts';
import type { LtxDecoderOptions } from './decoder.ts';
import type { LtxHeader } from '../format/header.ts';
import type { LtxTrailer } from '../format/trailer.ts';

/** Reads a whole file and throws `LtxError` unless it is valid. `size` is the size of the file in bytes. */
export async function verifyLtx(
  source: AsyncIterable<Uint8Array>,
  options: LtxDecoderOptions = {},
): Promise<{ header: LtxHeader; trailer: LtxTrailer; pageCount: number; size: number }> {
  const decoder = new LtxDecoder(source, options);
  try {
    const header = await decoder.header();
    let pageCount = 0;
    for await (const batch of decoder.frames()) pageCount += batch.pgnos.length;
    const { size, ...trailer } = await decoder.finish();
    return { header, trailer, pageCount, size };
  } finally {
    await decoder.close();
  }
}
