import type { BlobUploadCommonResponse } from '@azure/storage-blob';
import { type Body, BodyReader } from '@litestream/core';
import { Readable } from 'node:stream';

import { type AbsSession, aborting } from './session.ts';

/** The most blocks of one blob. */
const BLOCK_COUNT_MAX = 50_000;

/** Name, metadata and condition of an upload. */
export interface UploadTarget {
  readonly key: string;
  readonly contentType: string;
  readonly metadata?: Record<string, string> | undefined;
  readonly conditions?: { ifMatch?: string; ifNoneMatch?: string } | undefined;
}

/**
 * Stores a body: in one request up to the part size, otherwise as blocks that the last request turns into a blob. Blocks of
 * a failed or aborted upload are in no listing, and the service drops them.
 */
export async function upload(
  session: AbsSession,
  target: UploadTarget,
  body: Body,
  signal: AbortSignal | undefined,
): Promise<{ size: number; etag: string | undefined; lastModified: Date | undefined }> {
  const { partSize, concurrency } = session.settings;
  const reader = new BodyReader(body, signal);
  const blob = session.container.getBlockBlobClient(target.key);
  const options = {
    ...aborting(signal),
    blobHTTPHeaders: { blobContentType: target.contentType },
    tier: 'Hot',
    ...(target.metadata === undefined ? {} : { metadata: target.metadata }),
    ...(target.conditions === undefined ? {} : { conditions: target.conditions }),
  };
  try {
    let stored: BlobUploadCommonResponse;
    if (body.size !== undefined && body.size <= partSize) {
      const bytes = await reader.collect();
      stored = await blob.upload(bytes, bytes.byteLength, options);
    } else {
      const blockSize = Math.max(partSize, Math.ceil((body.size ?? body.sizeMax ?? 0) / BLOCK_COUNT_MAX));
      const source = Readable.from(reader.chunks(), { objectMode: false });
      stored = await blob.uploadStream(source, blockSize, concurrency, options);
    }
    return { size: reader.size, etag: stored.etag, lastModified: stored.lastModified };
  } catch (error) {
    throw reader.errorOr(session.error(error, target.key, signal));
  }
}
