/** A file that is verified while it is copied. */
import { verifyLtx } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { LtxFileRef } from '../storage/contract/contract.ts';
import { corrupt, fault, ltxName } from '../restore/read/ltx-errors.ts';

/**
 * The chunks of `source`, unchanged. Holds the last one back until all of them are known to be one complete LTX file of
 * these transactions: a server that knows the size stores an object as soon as it has received the last byte. Calls
 * `onHeader` before the last one.
 *
 * @throws LitestreamError `LTX_CORRUPT` or `CHECKSUM_MISMATCH`, with the file's name.
 */
export async function* verifiedSource(
  source: AsyncIterable<Uint8Array>,
  file: LtxFileRef,
  onHeader: (header: LtxHeader) => void = () => undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const name = ltxName(file);
  // It has no buffer: a write resolves once the verifier took the chunk.
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const verdict = verifyLtx(readable, { file: name });
  try {
    let held: Uint8Array | undefined;
    for await (const chunk of source) {
      await Promise.race([writer.write(chunk), verdict]);
      if (held !== undefined) yield held;
      held = chunk;
    }
    await Promise.race([writer.close(), verdict]);
    const { header } = await verdict;
    if (header.minTxid !== file.minTxid || header.maxTxid !== file.maxTxid) {
      throw corrupt(name, 'it holds other transactions than its name says');
    }
    onHeader(header);
    if (held !== undefined) yield held;
  } catch (error) {
    throw fault(name, error);
  } finally {
    // Also ends the verifier if the reader stopped or the source failed.
    await Promise.allSettled([writer.abort(new Error('the copy ended')), verdict]);
  }
}
