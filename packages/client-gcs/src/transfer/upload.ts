import type { Bucket } from '@google-cloud/storage';
import { type Body, BodyReader } from '@litestream/core';
import { type Hash, createHash, randomUUID } from 'node:crypto';

import { gcsBucketError } from './errors.ts';
import { type StoredObject, storedUpload } from './proof.ts';
import { request, uploadUrl } from './request.ts';
import { uploadResumable } from './resumable.ts';
import { type UploadTarget, describeUpload } from './upload-target.ts';

/**
 * Stores a body: in one request up to the part size, otherwise in a resumable session with a request for each part. Only the
 * last byte makes the object visible. Closes the session after a failure or an abort.
 */
export async function upload(
  bucket: Bucket,
  target: UploadTarget,
  body: Body,
  options: { partSize: number; signal: AbortSignal | undefined },
): Promise<StoredObject> {
  const { signal, partSize } = options;
  const reader = new BodyReader(body, signal);
  const small = body.size !== undefined && body.size <= partSize;
  const hash = createHash('md5');
  try {
    const data = await (small
      ? uploadWhole(bucket, target, Buffer.concat(await Array.fromAsync(hashed(reader.chunks(), hash))), signal)
      : uploadResumable(bucket, target, hashed(reader.chunks(), hash), { partSize, signal }));
    return storedUpload(data, target.key, { size: reader.size, md5: hash.digest('base64') });
  } catch (error) {
    throw reader.errorOr(gcsBucketError(error, target.key, signal));
  }
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

async function uploadWhole(
  bucket: Bucket,
  target: UploadTarget,
  bytes: Buffer,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { query, resource } = describeUpload(target);
  const boundary = randomUUID();
  const head = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${resource}\r\n`;
  const middle = `--${boundary}\r\ncontent-type: ${target.contentType}\r\n\r\n`;
  const response = await request<unknown>(bucket, {
    method: 'POST',
    url: uploadUrl(bucket, { uploadType: 'multipart', ...query }),
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(head + middle), bytes, Buffer.from(`\r\n--${boundary}--`)]),
    responseType: 'json',
    signal,
    // With a condition, the object stored by the first arrival would make the server refuse the second.
    repeatable: target.ifGenerationMatch === undefined,
  });
  return response.data;
}
