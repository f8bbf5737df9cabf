import type { BlobItem } from '@azure/storage-blob';
import { type LtxFileInfo, type Op, type TXID, parseLtxObjectName, parseObjectTime } from '@litestream/core';

import { TIMESTAMP_KEY, levelPrefix } from './keys.ts';
import { type AbsSession, aborting } from './session.ts';

/** Blobs whose name begins with `prefix`, ascending. */
export async function* listBlobs(session: AbsSession, prefix: string, options: Op): AsyncGenerator<BlobItem> {
  const { signal } = options;
  const pages = session.container
    .listBlobsFlat({ prefix, includeMetadata: true, ...aborting(signal) })
    .byPage({ maxPageSize: session.settings.pageSize });
  for (;;) {
    const page = await session.run(prefix, signal, () => pages.next());
    if (page.done === true) return;
    for (const blob of page.value.segment.blobItems) {
      signal?.throwIfAborted();
      yield blob;
    }
  }
}

/** Files of a level. Their times stand in the listing itself; the service cannot start one at a name. */
export async function* listLtxFiles(
  session: AbsSession,
  level: number,
  query: { seek?: TXID | undefined } & Op,
): AsyncGenerator<LtxFileInfo> {
  const prefix = levelPrefix(session.settings.path, level);
  const seek = query.seek ?? 0n;
  for await (const { name, properties, metadata } of listBlobs(session, prefix, query)) {
    const rest = name.slice(prefix.length);
    const txids = rest.includes('/') ? undefined : parseLtxObjectName(rest);
    if (txids === undefined || txids.minTxid < seek) continue;
    yield {
      level,
      ...txids,
      size: properties.contentLength ?? 0,
      timestamp: parseObjectTime(metadata?.[TIMESTAMP_KEY]) ?? properties.createdOn ?? properties.lastModified,
      version: etagOf(properties.etag),
    };
  }
}

/** ETags come quoted in answers and bare in listings: quoted is how conditions take them. */
export function etagOf(etag: string | undefined): string | undefined {
  if (etag === undefined || etag === '') return undefined;
  return etag.startsWith('"') || etag.startsWith('W/') ? etag : `"${etag}"`;
}
