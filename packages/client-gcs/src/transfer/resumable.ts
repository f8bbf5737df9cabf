import type { Bucket } from '@google-cloud/storage';
import { LitestreamError } from '@litestream/core/client';
import { setTimeout as sleep } from 'node:timers/promises';

import { classifyGcsError } from './errors.ts';
import { type GcsResponse, request, uploadUrl } from './request.ts';
import { type UploadTarget, describeUpload } from './upload-target.ts';

const TRY_COUNT_MAX = 4;
const DELAY_MS = 200;
const MORE = 308;

interface Session {
  readonly bucket: Bucket;
  readonly url: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Uploads in a session, `partSize` bytes a request. One part and the beginning of the next are in memory.
 *
 * @returns the server's description of the object
 */
export async function uploadResumable(
  bucket: Bucket,
  target: UploadTarget,
  chunks: AsyncIterable<Buffer>,
  options: { partSize: number; signal: AbortSignal | undefined },
): Promise<unknown> {
  const session = { bucket, url: await openSession(bucket, target), signal: options.signal };
  try {
    let offset = 0;
    for await (const part of parts(chunks, options.partSize)) {
      const end = offset + part.bytes.byteLength;
      const stored = await sendPart(session, part.bytes, offset, part.last ? end : undefined);
      if (part.last && stored !== undefined) return stored;
      offset = end;
    }
    throw new LitestreamError('gs: the server did not acknowledge the last part', {
      code: 'UNAVAILABLE',
      retryable: true,
    });
  } catch (error) {
    await closeSession(session);
    throw error;
  }
}

/** Ignores aborts: the answer names the session that must be closed. */
async function openSession(bucket: Bucket, target: UploadTarget): Promise<string> {
  const { query, resource } = describeUpload(target);
  const response = await request<unknown>(bucket, {
    method: 'POST',
    url: uploadUrl(bucket, { uploadType: 'resumable', ...query }),
    headers: { 'content-type': 'application/json', 'x-upload-content-type': target.contentType },
    body: resource,
  });
  const url = response.headers.get('location');
  if (url === null)
    throw new LitestreamError('gs: the server opened no session', { code: 'UNAVAILABLE', retryable: true });
  return url;
}

/** Sends a part; after a failure, continues where the server stopped. Resolves to the object after the last part. */
async function sendPart(session: Session, bytes: Buffer, offset: number, total: number | undefined): Promise<unknown> {
  let sent = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await put(session, bytes.subarray(sent), offset + sent, total);
      if (response.status !== MORE) return response.data;
      sent = persisted(response) - offset;
    } catch (error) {
      session.signal?.throwIfAborted();
      if (attempt === TRY_COUNT_MAX || classifyGcsError(error)?.retryable !== true) throw error;
      await sleep(DELAY_MS * 2 ** attempt, undefined, session.signal === undefined ? {} : { signal: session.signal });
      const state = await query(session, total);
      if (state.status !== MORE) return state.data;
      sent = persisted(state) - offset;
    }
    if (sent === bytes.byteLength && total === undefined) return undefined;
    if (sent < 0 || sent > bytes.byteLength || attempt > TRY_COUNT_MAX) {
      throw new LitestreamError('gs: the server lost track of the upload', { code: 'UNAVAILABLE', retryable: true });
    }
  }
}

function put(session: Session, body: Buffer, offset: number, total: number | undefined): Promise<GcsResponse<unknown>> {
  const span = body.byteLength === 0 ? '*' : `${offset}-${offset + body.byteLength - 1}`;
  return request<unknown>(session.bucket, {
    method: 'PUT',
    url: session.url,
    headers: { 'content-range': `bytes ${span}/${total ?? '*'}` },
    body,
    responseType: 'json',
    signal: session.signal,
    accept: [MORE],
  });
}

/** Asks the server how many bytes have arrived. */
function query(session: Session, total: number | undefined): Promise<GcsResponse<unknown>> {
  return request<unknown>(session.bucket, {
    method: 'PUT',
    url: session.url,
    headers: { 'content-range': `bytes */${total ?? '*'}`, 'content-length': '0' },
    responseType: 'json',
    signal: session.signal,
    accept: [MORE],
  });
}

function persisted(response: GcsResponse<unknown>): number {
  const last = /-(\d+)$/.exec(response.headers.get('range') ?? '')?.[1];
  return last === undefined ? 0 : Number(last) + 1;
}

/** Google drops an open session after a week, so a failure here is harmless. */
async function closeSession({ bucket, url }: Session): Promise<void> {
  const signal = AbortSignal.timeout(5000);
  await request(bucket, { method: 'DELETE', url, headers: { 'content-length': '0' }, signal, accept: [499] }).catch(
    () => undefined,
  );
}

/** Cuts a stream into parts of one size; the last may be shorter, or empty if the stream is. */
async function* parts(chunks: AsyncIterable<Buffer>, size: number): AsyncGenerator<{ bytes: Buffer; last: boolean }> {
  let pending: Buffer[] = [];
  let pendingSize = 0;
  for await (const chunk of chunks) {
    pending.push(chunk);
    pendingSize += chunk.byteLength;
    // A full part waits for one more byte: the last part has to be marked as the last.
    while (pendingSize > size) {
      const joined = Buffer.concat(pending);
      yield { bytes: joined.subarray(0, size), last: false };
      pending = [joined.subarray(size)];
      pendingSize -= size;
    }
  }
  yield { bytes: Buffer.concat(pending), last: true };
}
