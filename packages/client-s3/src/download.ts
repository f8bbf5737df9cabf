import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { readStream } from '@litestream/core';
import type { Readable } from 'node:stream';

import { type S3Session, sendOptions } from './connection/session.ts';

/** `size` bytes from `offset`; without a size, all bytes up to the end. */
export interface Range {
  readonly offset?: number | undefined;
  readonly size?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The properties and the bytes of an object. */
export interface Download {
  /** Undefined if the answer states no size. */
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: Date | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Opens a range of an object. A range past the end is empty; a missing object rejects with `NOT_FOUND`. */
export async function download(session: S3Session, key: string, range: Range): Promise<Download> {
  if (range.size === 0) return head(session, key, range.signal);
  const { sdk, client, settings } = session;
  const command = new sdk.GetObjectCommand({
    Bucket: settings.bucket,
    Key: key,
    ...rangeHeader(range),
    ...settings.keyParams,
  });
  let response: GetObjectCommandOutput;
  try {
    range.signal?.throwIfAborted();
    response = await client.send(command, sendOptions(range.signal));
  } catch (error) {
    if (isRangePastEnd(error)) return head(session, key, range.signal);
    throw session.error(error, key, range.signal);
  }
  const body = readStream(response.Body as unknown as Readable, {
    signal: range.signal,
    size: response.ContentLength,
    wrapError: (error) => session.error(error, key),
  });
  const total = /\/(\d+)$/.exec(response.ContentRange ?? '')?.[1];
  return {
    size: total === undefined ? response.ContentLength : Number(total),
    etag: response.ETag,
    lastModified: response.LastModified,
    body,
  };
}

async function head(session: S3Session, key: string, signal: AbortSignal | undefined): Promise<Download> {
  const { sdk, client, settings } = session;
  const command = new sdk.HeadObjectCommand({ Bucket: settings.bucket, Key: key, ...settings.keyParams });
  const found = await session.run(key, signal, () => client.send(command, sendOptions(signal)));
  return { size: found.ContentLength ?? 0, etag: found.ETag, lastModified: found.LastModified, body: nothing() };
}

function rangeHeader(range: Range): { Range?: string } {
  const offset = range.offset ?? 0;
  if (range.size !== undefined) return { Range: `bytes=${offset}-${offset + range.size - 1}` };
  return offset === 0 ? {} : { Range: `bytes=${offset}-` };
}

function isRangePastEnd(error: unknown): boolean {
  const source = error as { name?: unknown; $metadata?: { httpStatusCode?: number } };
  return source.name === 'InvalidRange' || source.$metadata?.httpStatusCode === 416;
}

// eslint-disable-next-line require-yield -- an empty iteration has nothing to yield
async function* nothing(): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
}
