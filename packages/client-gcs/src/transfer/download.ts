import type { Bucket } from '@google-cloud/storage';
import { malformedAnswer, raceAbort, readStream } from '@litestream/core';
import type { Readable } from 'node:stream';

import { gcsError, statusOf } from './errors.ts';
import { storedObject } from './proof.ts';
import { mediaUrl, objectUrl, request } from './request.ts';

/** The properties and the bytes of an object. */
export interface Download {
  /** Undefined if the answer states no size. */
  readonly size: number | undefined;
  readonly generation: string;
  readonly updated: Date | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Opens a range of an object. A range past the end is empty; a missing object rejects with `NOT_FOUND`. */
export async function download(
  bucket: Bucket,
  key: string,
  range: { offset?: number | undefined; size?: number | undefined; signal?: AbortSignal | undefined },
): Promise<Download> {
  const { offset = 0, size, signal } = range;
  if (size === 0) return head(bucket, key, signal);
  try {
    signal?.throwIfAborted();
    const { headers, data } = await request<Readable>(bucket, {
      url: mediaUrl(bucket, key),
      headers: { 'accept-encoding': 'identity', ...rangeHeader(offset, size) },
      responseType: 'stream',
      signal,
    });
    const generation = headers.get('x-goog-generation');
    if (generation === null) {
      data.destroy();
      throw malformedAnswer('gs', 'it does not describe the object');
    }
    const length = headers.has('content-length') ? Number(headers.get('content-length')) : undefined;
    const total = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
    const body = readStream(data, { signal, size: length, wrapError: (error) => gcsError(error, key) });
    return {
      size: total === undefined ? length : Number(total),
      generation,
      updated: dateOf(headers.get('last-modified') ?? undefined),
      body,
    };
  } catch (error) {
    if (statusOf(error) === 416) return head(bucket, key, signal);
    throw gcsError(error, key, signal);
  }
}

function rangeHeader(offset: number, size: number | undefined): Record<string, string> {
  if (size !== undefined) return { range: `bytes=${offset}-${offset + size - 1}` };
  return offset === 0 ? {} : { range: `bytes=${offset}-` };
}

async function head(bucket: Bucket, key: string, signal: AbortSignal | undefined): Promise<Download> {
  try {
    const { data } = await raceAbort(request<unknown>(bucket, { url: objectUrl(bucket, key), signal }), signal);
    return { ...storedObject(data, key), body: nothing() };
  } catch (error) {
    throw gcsError(error, key, signal);
  }
}

function dateOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}

// eslint-disable-next-line require-yield -- an empty iteration has nothing to yield
async function* nothing(): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
}
