/** A body without its first `skip` bytes. */
export async function* trimBody(source: AsyncIterable<Uint8Array>, skip: number): AsyncGenerator<Uint8Array> {
  let left = skip;
  for await (const chunk of source) {
    const kept = left === 0 ? chunk : chunk.subarray(Math.min(left, chunk.byteLength));
    left -= chunk.byteLength - kept.byteLength;
    if (kept.byteLength > 0) yield kept;
  }
}
