import type { BlobItem } from '@azure/storage-blob';
import {
  type LtxFileInfo,
  type Op,
  PageTokens,
  malformedAnswer,
  type TXID,
  parseLtxObjectName,
  parseObjectTime,
} from '@litestream/core';

import { TIMESTAMP_KEY, levelPrefix, ltxPrefix } from './keys.ts';
import { type AbsSession, aborting } from './session.ts';

/** Blobs whose name begins with `prefix`, ascending. */
export async function* listBlobs(session: AbsSession, prefix: string, options: Op): AsyncGenerator<BlobItem> {
  const { signal } = options;
  const pages = session.container
    .listBlobsFlat({ prefix, includeMetadata: true, ...aborting(signal) })
    .byPage({ maxPageSize: session.settings.pageSize });
  const tokens = new PageTokens('abs');
  for (;;) {
    const page = await session.run(prefix, signal, () => pages.next().catch(unread));
    if (page.done === true) return;
    for (const blob of page.value.segment.blobItems) {
      signal?.throwIfAborted();
      if (!blob.name || blob.properties.contentLength === undefined) {
        throw malformedAnswer('abs', 'the listing holds a blob without a name, or a size');
      }
      yield blob;
    }
    tokens.next(page.value.continuationToken, page.value.segment.blobItems.length);
  }
}

/** The SDK treats every document as a listing, so a missing part is a TypeError. */
function unread(error: unknown): never {
  throw error instanceof TypeError ? malformedAnswer('abs', 'it is not a valid listing') : error;
}

/** Files of a level. The listing has their times; the service cannot start a listing at a name. */
export async function* listLtxFiles(
  session: AbsSession,
  level: number,
  query: { seek?: TXID | undefined } & Op,
): AsyncGenerator<LtxFileInfo> {
  const prefix = levelPrefix(session.settings.path, level);
  const seek = query.seek ?? 0n;
  for await (const blob of listBlobs(session, prefix, query)) {
    const info = toInfo(blob, prefix, level);
    if (info !== undefined && info.minTxid >= seek) yield info;
  }
}

/** Files of all levels: the names of their folders sort like the levels. */
export async function* listAllLtxFiles(session: AbsSession, options: Op): AsyncGenerator<LtxFileInfo> {
  const { path } = session.settings;
  const folder = ltxPrefix(path);
  for await (const blob of listBlobs(session, folder, options)) {
    const level = Number(/^(\d)\//.exec(blob.name.slice(folder.length))?.[1] ?? Number.NaN);
    const info = Number.isNaN(level) ? undefined : toInfo(blob, levelPrefix(path, level), level);
    if (info !== undefined) yield info;
  }
}

function toInfo({ name, properties, metadata }: BlobItem, prefix: string, level: number): LtxFileInfo | undefined {
  const rest = name.slice(prefix.length);
  const txids = rest.includes('/') ? undefined : parseLtxObjectName(rest);
  if (txids === undefined) return undefined;
  return {
    level,
    ...txids,
    size: properties.contentLength ?? 0,
    timestamp: parseObjectTime(metadata?.[TIMESTAMP_KEY]) ?? properties.createdOn ?? properties.lastModified,
    version: etagOf(properties.etag),
  };
}

/** ETags are quoted in answers and bare in listings; conditions need them quoted. */
export function etagOf(etag: string | undefined): string | undefined {
  if (etag === undefined || etag === '') return undefined;
  return etag.startsWith('"') || etag.startsWith('W/') ? etag : `"${etag}"`;
}
