import { readStream } from '@litestream/core';
import type { Readable } from 'node:stream';

import { type AbsSession, aborting } from './session.ts';

/** What was found of a blob, and its bytes. */
export interface Download {
  readonly size: number;
  readonly etag: string | undefined;
  readonly lastModified: Date | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Opens a range of a blob. One past the end is empty; a missing blob rejects with `NOT_FOUND`. */
export async function download(
  session: AbsSession,
  key: string,
  range: { offset?: number | undefined; size?: number | undefined; signal?: AbortSignal | undefined },
): Promise<Download> {
  const { offset = 0, size, signal } = range;
  if (size === 0) return head(session, key, signal);
  const blob = session.container.getBlobClient(key);
  try {
    signal?.throwIfAborted();
    // Core resumes broken reads, and must know of each: the SDK's silent ones would mix versions of a blob.
    const found = await blob.download(offset, size, { ...aborting(signal), maxRetryRequests: 0 });
    const total = /\/(\d+)$/.exec(found.contentRange ?? '')?.[1];
    const body = readStream(found.readableStreamBody as Readable, {
      signal,
      size: found.contentLength,
      wrapError: (error) => session.error(error, key),
    });
    const length = total === undefined ? (found.contentLength ?? 0) : Number(total);
    return { size: length, etag: found.etag, lastModified: found.lastModified, body };
  } catch (error) {
    if ((error as { statusCode?: unknown }).statusCode === 416) return head(session, key, signal);
    throw session.error(error, key, signal);
  }
}

async function head(session: AbsSession, key: string, signal: AbortSignal | undefined): Promise<Download> {
  const blob = session.container.getBlobClient(key);
  const found = await session.run(key, signal, () => blob.getProperties(aborting(signal)));
  return { size: found.contentLength ?? 0, etag: found.etag, lastModified: found.lastModified, body: nothing() };
}

// eslint-disable-next-line require-yield -- an empty iteration has nothing to yield
async function* nothing(): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
}
