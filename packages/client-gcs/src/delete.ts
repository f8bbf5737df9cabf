import type { Bucket } from '@google-cloud/storage';
import { forEachConcurrent, parseLtxObjectName, raceAbort } from '@litestream/core';

import { gcsError, statusOf } from './transfer/errors.ts';
import { ltxPrefix } from './keys.ts';
import { listFiles } from './listing.ts';
import { provenDeletion } from './transfer/proof.ts';
import { objectUrl, request } from './transfer/request.ts';

/** Deletes objects by key, `concurrency` at a time. A missing object is not an error. */
export async function deleteKeys(
  bucket: Bucket,
  keys: AsyncIterable<string> | Iterable<string>,
  options: { concurrency: number; signal: AbortSignal | undefined },
): Promise<void> {
  await forEachConcurrent(keys, options.concurrency, (key) => deleteKey(bucket, key, options.signal));
}

/** Deletes every LTX file of every level under the path, and no other objects. */
export async function deleteAllLtx(
  bucket: Bucket,
  path: string,
  options: { concurrency: number; signal: AbortSignal | undefined },
): Promise<void> {
  await deleteKeys(bucket, ltxKeys(bucket, ltxPrefix(path), options.signal), options);
}

async function* ltxKeys(bucket: Bucket, prefix: string, signal: AbortSignal | undefined): AsyncGenerator<string> {
  for await (const { name } of listFiles(bucket, prefix, { signal })) {
    const relative = name.slice(prefix.length);
    if (/^\d+\/[^/]+$/.test(relative) && parseLtxObjectName(relative) !== undefined) yield name;
  }
}

async function deleteKey(bucket: Bucket, key: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    signal?.throwIfAborted();
    const url = objectUrl(bucket, key);
    const deletion = request(bucket, { method: 'DELETE', url, signal, repeatable: true });
    provenDeletion(await raceAbort(deletion, signal));
  } catch (error) {
    const kind = gcsError(error, key, signal);
    if (statusOf(error) === 404 && (kind as { code?: unknown }).code === 'NOT_FOUND') return;
    throw kind;
  }
}
