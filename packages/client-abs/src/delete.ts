import { forEachConcurrent, parseLtxObjectName } from '@litestream/core';

import { ltxPrefix } from './keys.ts';
import { listBlobs } from './listing.ts';
import { type AbsSession, aborting } from './session.ts';

/** Deletes blobs by name, many at a time. A missing blob is not an error. */
export async function deleteKeys(
  session: AbsSession,
  keys: AsyncIterable<string> | Iterable<string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  await forEachConcurrent(keys, session.settings.concurrency * 4, (key) => deleteKey(session, key, signal));
}

/** Deletes every LTX file of every level under the path, and no other objects. */
export async function deleteAllLtx(session: AbsSession, signal: AbortSignal | undefined): Promise<void> {
  await deleteKeys(session, ltxKeys(session, signal), signal);
}

async function* ltxKeys(session: AbsSession, signal: AbortSignal | undefined): AsyncGenerator<string> {
  const prefix = ltxPrefix(session.settings.path);
  for await (const { name } of listBlobs(session, prefix, { signal })) {
    const relative = name.slice(prefix.length);
    if (/^\d+\/[^/]+$/.test(relative) && parseLtxObjectName(relative) !== undefined) yield name;
  }
}

async function deleteKey(session: AbsSession, key: string, signal: AbortSignal | undefined): Promise<void> {
  const blob = session.container.getBlobClient(key);
  await session.run(key, signal, () => blob.deleteIfExists(aborting(signal)));
}
