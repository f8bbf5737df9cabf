import type { Bucket } from '@google-cloud/storage';
import { type Body, BodyReader } from '@litestream/core';
import { randomUUID } from 'node:crypto';

import { gcsBucketError } from './errors.ts';
import { request, uploadUrl } from './request.ts';
import { uploadResumable } from './resumable.ts';

/** What to store, and under which condition. */
export interface UploadTarget {
  readonly key: string;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly contentType: string;
  /** 0: only if there is no such object. */
  readonly ifGenerationMatch?: number | string | undefined;
}

/** What the server says of a stored object; numbers come as texts. */
export interface StoredObject {
  readonly size?: string;
  readonly generation?: string | number;
  readonly updated?: string;
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
  const small = body.size !== undefined && body.size <= partSize;
  try {
    const stored = await (small
      ? uploadWhole(bucket, target, await reader.collect(), signal)
      : uploadResumable(bucket, target, reader.chunks(), { partSize, signal }));
    return {
      size: reader.size,
      generation: stored.generation === undefined ? undefined : String(stored.generation),
      updated: stored.updated === undefined ? undefined : new Date(stored.updated),
    };
  } catch (error) {
    throw reader.errorOr(gcsBucketError(error, target.key, signal));
  }
}

/** Name, condition and metadata of an upload, as every kind of it takes them. */
export function describeUpload(target: UploadTarget): { query: Record<string, string>; resource: string } {
  const { key, contentType, metadata, ifGenerationMatch } = target;
  return {
    query: { name: key, ...(ifGenerationMatch === undefined ? {} : { ifGenerationMatch: String(ifGenerationMatch) }) },
    resource: JSON.stringify({ name: key, contentType, ...(metadata === undefined ? {} : { metadata }) }),
  };
}

async function uploadWhole(
  bucket: Bucket,
  target: UploadTarget,
  bytes: Buffer,
  signal: AbortSignal | undefined,
): Promise<StoredObject> {
  const { query, resource } = describeUpload(target);
  const boundary = randomUUID();
  const head = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${resource}\r\n`;
  const middle = `--${boundary}\r\ncontent-type: ${target.contentType}\r\n\r\n`;
  const response = await request<StoredObject>(bucket, {
    method: 'POST',
    url: uploadUrl(bucket, { uploadType: 'multipart', ...query }),
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(head + middle), bytes, Buffer.from(`\r\n--${boundary}--`)]),
    responseType: 'json',
    signal,
    // Under a condition, the second arrival would be refused by what the first one stored.
    repeatable: target.ifGenerationMatch === undefined,
  });
  return response.data;
}
