import type { Bucket } from '@google-cloud/storage';
import { raceAbort, readStream } from '@litestream/core';
import type { Readable } from 'node:stream';

import { gcsError, statusOf } from './errors.ts';

/** What was found of an object, and its bytes. */
export interface Download {
  readonly size: number;
  readonly generation: string | undefined;
  readonly updated: Date | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

interface Response {
  readonly statusCode?: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** Opens a range of an object. One past the end is empty; a missing object rejects with `NOT_FOUND`. */
export async function download(
  bucket: Bucket,
  key: string,
  range: { offset?: number | undefined; size?: number | undefined; signal?: AbortSignal | undefined },
): Promise<Download> {
  const { offset = 0, size, signal } = range;
  if (size === 0) return head(bucket, key, signal);
  signal?.throwIfAborted();
  const stream = bucket.file(key).createReadStream({
    validation: false,
    decompress: false,
    ...(offset === 0 && size === undefined ? {} : { start: offset }),
    ...(size === undefined ? {} : { end: offset + size - 1 }),
  });
  let response: Response;
  try {
    response = await raceAbort(answer(stream), signal);
  } catch (error) {
    stream.destroy();
    if (statusOf(error) === 416) return head(bucket, key, signal);
    throw gcsError(error, key, signal);
  }
  const length = Number(response.headers['content-length'] ?? Number.NaN);
  const total = /\/(\d+)$/.exec(response.headers['content-range'] ?? '')?.[1];
  const body = readStream(stream, {
    signal,
    size: Number.isNaN(length) ? undefined : length,
    wrapError: (error) => gcsError(error, key),
  });
  return {
    size: total === undefined ? length : Number(total),
    generation: response.headers['x-goog-generation'],
    updated: dateOf(response.headers['last-modified']),
    body,
  };
}

/** The headers of the answer; the stream starts its request when somebody reads. */
function answer(stream: Readable): Promise<Response> {
  return new Promise((resolve, reject) => {
    stream.on('error', reject);
    stream.once('response', (response: Response) => {
      if ((response.statusCode ?? 200) < 300) resolve(response);
    });
    stream.read(0);
  });
}

async function head(bucket: Bucket, key: string, signal: AbortSignal | undefined): Promise<Download> {
  try {
    const [metadata] = await raceAbort(bucket.file(key).getMetadata(), signal);
    return {
      size: Number(metadata.size ?? 0),
      generation: metadata.generation === undefined ? undefined : String(metadata.generation),
      updated: dateOf(metadata.updated),
      body: nothing(),
    };
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
