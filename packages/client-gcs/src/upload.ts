import type { Bucket } from '@google-cloud/storage';
import { type Body, BodyReader } from '@litestream/core';
import { pipeline } from 'node:stream/promises';

import { gcsError } from './errors.ts';

/** What to store, and under which condition. */
export interface UploadTarget {
  readonly key: string;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly contentType: string;
  /** 0: only if there is no such object. */
  readonly ifGenerationMatch?: number | string | undefined;
}

/**
 * Stores a body: in one request up to the part size, above in a resumable session, a part per request. Only the last
 * byte makes the object visible; after a failure or an abort the session is closed.
 */
export async function upload(
  bucket: Bucket,
  target: UploadTarget,
  body: Body,
  options: { partSize: number; signal: AbortSignal | undefined },
): Promise<{ size: number; generation: string | undefined; updated: Date | undefined }> {
  const { signal, partSize } = options;
  const reader = new BodyReader(body, signal);
  const file = bucket.file(target.key);
  const resumable = body.size === undefined || body.size > partSize;
  const stream = file.createWriteStream({
    resumable,
    ...(resumable ? { chunkSize: partSize } : {}),
    // LTX files carry a checksum of their own, and TLS guards the way.
    validation: false,
    contentType: target.contentType,
    metadata: target.metadata === undefined ? {} : { metadata: target.metadata },
    ...(target.ifGenerationMatch === undefined
      ? {}
      : { preconditionOpts: { ifGenerationMatch: target.ifGenerationMatch } }),
  });
  let session: string | undefined;
  stream.once('uri', (uri: string) => {
    session = uri;
  });
  try {
    await pipeline(reader.chunks(), stream, signal === undefined ? {} : { signal });
  } catch (error) {
    if (session !== undefined) await cancel(session);
    throw reader.errorOr(gcsError(error, target.key, signal));
  }
  const { generation, updated } = file.metadata;
  return {
    size: reader.size,
    generation: generation === undefined ? undefined : String(generation),
    updated: updated === undefined ? undefined : new Date(updated),
  };
}

/** Closes a resumable session. Google forgets an open one after a week, so a failure here does no harm. */
async function cancel(session: string): Promise<void> {
  await fetch(session, { method: 'DELETE', signal: AbortSignal.timeout(5000) }).then(
    (response) => response.body?.cancel(),
    () => undefined,
  );
}
