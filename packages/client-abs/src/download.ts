import type { BlobDownloadResponseParsed } from '@azure/storage-blob';
import { readStream } from '@litestream/core';
import type { Readable } from 'node:stream';

import { TO_THE_END, lacksLength } from './answer-length.ts';
import { type AbsSession, aborting } from './session.ts';

/** The properties and the bytes of a blob. */
export interface Download {
  /** Undefined if the answer states no size. */
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: Date | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Opens a range of a blob. A range past the end is empty; a missing blob rejects with `NOT_FOUND`. */
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
    // Core resumes broken reads. If the SDK resumed them silently, it could mix versions of a blob.
    const ask = (count: number | undefined): Promise<BlobDownloadResponseParsed> =>
      blob.download(offset, count, { ...aborting(signal), maxRetryRequests: 0 });
    const found = await ask(size).catch((error: unknown) => {
      if (!lacksLength(error)) throw error;
      return ask(size ?? TO_THE_END);
    });
    const total = /\/(\d+)$/.exec(found.contentRange ?? '')?.[1];
    const body = readStream(found.readableStreamBody as Readable, {
      signal,
      size: found.contentLength,
      wrapError: (error) => session.error(error, key),
    });
    const length = total === undefined ? found.contentLength : Number(total);
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
