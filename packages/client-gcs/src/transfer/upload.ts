import type { Bucket } from '@google-cloud/storage';
import type { ObjectHead, PutContent } from '@litestream/core/client';
import { type Hash, createHash, randomUUID } from 'node:crypto';

import { storedUpload } from './proof.ts';
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
  content: PutContent,
  options: { partSize: number; signal: AbortSignal | undefined },
): Promise<ObjectHead> {
  const sent = { size: 0, hash: createHash('md5') };
  const chunks = measured(content.chunks(), sent);
  const data = await (content.bytes === undefined
    ? uploadResumable(bucket, target, chunks, options)
    : uploadWhole(bucket, target, Buffer.concat(await Array.fromAsync(chunks)), options.signal));
  return storedUpload(data, target.key, { size: sent.size, md5: sent.hash.digest('base64') });
}

async function* measured(
  chunks: AsyncIterable<Buffer>,
  sent: { size: number; readonly hash: Hash },
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    sent.size += chunk.byteLength;
    sent.hash.update(chunk);
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
