import { LitestreamError } from '@litestream/core/client';

import { classifyS3Error } from './connection/errors.ts';
import { type S3Session, sendOptions } from './connection/session.ts';

/** Deletes up to 1,000 objects in one request. A missing object is not an error. */
export async function deleteMany(
  { sdk, client, settings }: S3Session,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const command = new sdk.DeleteObjectsCommand({
    Bucket: settings.bucket,
    Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true },
  });
  const answer = await client.send(command, sendOptions(signal));
  const failed = (answer.Errors ?? []).filter((error) => error.Code !== 'NoSuchKey');
  if (failed.length > 0) throw deleteError(failed, keys.length);
}

/** The error for a request that deleted only some objects. */
function deleteError(
  failed: readonly { Key?: string | undefined; Code?: string | undefined; Message?: string | undefined }[],
  count: number,
): LitestreamError {
  const [first] = failed;
  const found = classifyS3Error({ name: first?.Code, message: first?.Message }) ?? {
    code: 'INTERNAL',
    retryable: false,
  };
  const message = `s3: ${failed.length} of ${count} objects not deleted, the first: ${first?.Code}: ${first?.Message}`;
  return new LitestreamError(message, { ...found, backend: 's3', object: first?.Key });
}
