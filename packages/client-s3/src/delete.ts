import { LitestreamError, type Op, parseLtxObjectName } from '@litestream/core';

import { classifyS3Error } from './connection/errors.ts';
import { listPages } from './listing.ts';
import { type S3Session, sendOptions } from './connection/session.ts';

/** The most keys of one request. */
const BATCH_SIZE = 1000;

/** Deletes objects by key, a thousand a request. A missing object is not an error. */
export async function deleteKeys(
  session: S3Session,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { sdk, client, settings } = session;
  for (let start = 0; start < keys.length; start += BATCH_SIZE) {
    const batch = keys.slice(start, start + BATCH_SIZE);
    const command = new sdk.DeleteObjectsCommand({
      Bucket: settings.bucket,
      Delete: { Objects: batch.map((Key) => ({ Key })), Quiet: true },
    });
    const object = batch[0] ?? '';
    const answer = await session.run(object, signal, () => client.send(command, sendOptions(signal)));
    const failed = (answer.Errors ?? []).filter((error) => error.Code !== 'NoSuchKey');
    if (failed.length > 0) throw deleteError(failed, batch.length);
  }
}

/** Deletes every LTX file of every level under the path, page by page, and no other objects. */
export async function deleteAllLtx(session: S3Session, signal: AbortSignal | undefined): Promise<void> {
  const prefix = `${session.settings.path}/`;
  let after: string | undefined;
  for (;;) {
    // A listing cannot continue after its keys were deleted, so each page is the first page after a key.
    const keys = await firstKeys(session, prefix, { signal, after });
    if (keys.length === 0) return;
    await deleteKeys(
      session,
      keys.filter((key) => isLtxKey(key.slice(prefix.length))),
      signal,
    );
    after = keys.at(-1);
  }
}

async function firstKeys(
  session: S3Session,
  prefix: string,
  options: Op & { after: string | undefined },
): Promise<string[]> {
  for await (const page of listPages(session, prefix, options)) return page.flatMap((object) => object.Key ?? []);
  return [];
}

function isLtxKey(relative: string): boolean {
  return /^[0-9a-f]{4}\/[^/]+$/.test(relative) && parseLtxObjectName(relative) !== undefined;
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
