import { LitestreamError } from '@litestream/core';

import { isLtxKey } from './keys.ts';
import { listObjects } from './listing.ts';
import type { OssSession } from './session.ts';

const BATCH_SIZE = 1000;

/** Deletes objects, up to 1,000 a request. A missing object counts as deleted. */
export async function deleteKeys(session: OssSession, keys: readonly string[], signal?: AbortSignal): Promise<void> {
  for (let from = 0; from < keys.length; from += BATCH_SIZE) {
    const batch = keys.slice(from, from + BATCH_SIZE);
    const { deleted = [] } = await session.call(batch[0] ?? '', signal, (client) => client.deleteMulti(batch));
    const gone = new Set(
      (deleted as unknown as (string | { Key: string })[]).map((one) => (typeof one === 'string' ? one : one.Key)),
    );
    // The answer leaves out objects that it did not delete, without a reason.
    const left = batch.filter((key) => !gone.has(key));
    if (left.length > 0) {
      throw new LitestreamError(`oss: ${left.length} of ${batch.length} objects could not be deleted`, {
        code: 'PERMISSION_DENIED',
        backend: 'oss',
        object: left[0],
        hint: 'Let the key delete in the bucket; a retention policy may protect the objects.',
      });
    }
  }
}

/** Deletes every LTX file of the replica, and no other objects under its path. */
export async function deleteAllLtx(session: OssSession, signal?: AbortSignal): Promise<void> {
  const { prefix } = session.settings;
  for await (const objects of listObjects(session, prefix, { signal })) {
    const keys = objects.map(({ key }) => key).filter((key) => isLtxKey(prefix, key));
    await deleteKeys(session, keys, signal);
  }
}
