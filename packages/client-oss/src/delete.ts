import { LitestreamError } from '@litestream/core/client';
import type { Op } from '@litestream/core/client';

import type { OssSession } from './session.ts';

/** Deletes up to 1,000 objects in one request. A missing object counts as deleted. */
export async function deleteMany(session: OssSession, keys: readonly string[], { signal }: Op): Promise<void> {
  const { deleted = [] } = await session.run(signal, (client) => client.deleteMulti([...keys]));
  const gone = new Set(
    (deleted as unknown as (string | { Key: string })[]).map((one) => (typeof one === 'string' ? one : one.Key)),
  );
  // The answer leaves out objects that it did not delete, without a reason.
  const left = keys.filter((key) => !gone.has(key));
  if (left.length === 0) return;
  throw new LitestreamError(`oss: ${left.length} of ${keys.length} objects could not be deleted`, {
    code: 'PERMISSION_DENIED',
    backend: 'oss',
    object: left[0],
    hint: 'Let the key delete in the bucket; a retention policy may protect the objects.',
  });
}
