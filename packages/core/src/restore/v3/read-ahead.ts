import type { ReplicaClient } from '../../storage/contract/contract.ts';
import type { V3File } from './listing.ts';
import { readObject } from './read-object.ts';

/** Objects that are requested at once: a WAL has one object per second, and each costs a request. */
const COUNT = 8;
/** Larger objects are streamed when it is their turn. */
const SIZE_MAX = 1 << 20;

/** The files in order; small ones are read ahead, which takes about 8 MiB of memory. */
export async function* readAhead(
  client: ReplicaClient,
  files: readonly V3File[],
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly file: V3File; readonly bytes: AsyncIterable<Uint8Array> }, void, undefined> {
  const ahead: { readonly file: V3File; readonly bytes: Promise<Uint8Array[]> | undefined }[] = [];
  let next = 0;
  try {
    for (;;) {
      while (ahead.length < COUNT && next < files.length) {
        const file = files[next++] as V3File;
        const bytes = file.object.size > SIZE_MAX ? undefined : collect(readObject(client, file.object, signal));
        // Its turn may never come, if one before it fails.
        bytes?.catch(() => undefined);
        ahead.push({ file, bytes });
      }
      const first = ahead.shift();
      if (first === undefined) return;
      const { file, bytes } = first;
      yield { file, bytes: bytes === undefined ? readObject(client, file.object, signal) : pieces(await bytes) };
    }
  } finally {
    await Promise.allSettled(ahead.flatMap(({ bytes }) => bytes ?? []));
  }
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return chunks;
}

async function* pieces(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
}
