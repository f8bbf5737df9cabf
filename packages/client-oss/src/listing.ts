import { PageTokens, parseLtxObjectName, parseObjectTime, txidText } from '@litestream/core';
import type { LtxFileInfo, Op } from '@litestream/core';
import type OssSdk from 'ali-oss';

import { TIMESTAMP_KEY, levelPrefix } from './keys.ts';
import type { OssSession } from './session.ts';

const PAGE_SIZE = 1000;

/** One object of a listing. */
export interface ListedObject {
  readonly key: string;
  readonly size: number;
  readonly lastModified: Date;
  readonly etag: string;
}

/** Objects whose key starts with `prefix`, in key order, page by page; with `startAfter`, only those behind that key. */
export async function* listObjects(
  session: OssSession,
  prefix: string,
  options: { startAfter?: string | undefined } & Op = {},
): AsyncGenerator<ListedObject[]> {
  const tokens = new PageTokens('oss');
  let token: string | undefined;
  do {
    const query = {
      // The SDK signs an empty value otherwise than it sends it.
      ...(prefix === '' ? {} : { prefix }),
      'max-keys': String(PAGE_SIZE),
      ...(options.startAfter === undefined ? {} : { 'start-after': options.startAfter }),
      ...(token === undefined ? {} : { 'continuation-token': token }),
    };
    const page = await session.call(prefix, options.signal, (client) => listPage(client, query));
    yield page.objects;
    token = tokens.next(page.next, page.objects.length);
  } while (token !== undefined);
}

/** Files of a level. Exact times cost a request a file: the listing has only the server's own. */
export async function* listLtxFiles(
  session: OssSession,
  level: number,
  query: { seek?: bigint | undefined; useMetadata?: boolean | undefined } & Op,
): AsyncGenerator<LtxFileInfo> {
  const { seek = 0n, useMetadata = false, signal } = query;
  const prefix = levelPrefix(session.settings.prefix, level);
  const startAfter = seek === 0n ? undefined : prefix + txidText(seek);
  for await (const objects of listObjects(session, prefix, { startAfter, signal })) {
    const files = objects.flatMap(({ key, size, lastModified, etag }) => {
      const txids = parseLtxObjectName(key);
      const direct = !key.slice(prefix.length).includes('/');
      if (txids === undefined || !direct || txids.minTxid < seek) return [];
      return [{ key, file: { level, ...txids, size, timestamp: lastModified, version: etag } satisfies LtxFileInfo }];
    });
    const step = useMetadata ? session.settings.metadataConcurrency : PAGE_SIZE;
    for (let from = 0; from < files.length; from += step) {
      const some = files.slice(from, from + step);
      const infos = useMetadata
        ? await Promise.all(some.map((one) => withExactTime(session, one.key, one.file, signal)))
        : some.map(({ file }) => file);
      for (const info of infos) {
        signal?.throwIfAborted();
        yield info;
      }
    }
  }
}

async function withExactTime(
  session: OssSession,
  key: string,
  file: LtxFileInfo,
  signal: AbortSignal | undefined,
): Promise<LtxFileInfo> {
  const { meta } = await session.call(key, signal, (client) => client.head(key));
  const text = (meta as Readonly<Record<string, unknown>> | null)?.[TIMESTAMP_KEY];
  return { ...file, timestamp: parseObjectTime(typeof text === 'string' ? text : undefined) ?? file.timestamp };
}

async function listPage(
  client: OssSdk,
  query: Record<string, string>,
): Promise<{ objects: ListedObject[]; next: string | undefined }> {
  const result = await (client as unknown as ListV2).listV2(query, {});
  return {
    objects: (result.objects ?? []).map(({ name, size, lastModified, etag }) => ({
      key: name,
      size,
      lastModified: new Date(lastModified),
      etag,
    })),
    next: result.isTruncated ? result.nextContinuationToken : undefined,
  };
}

/** As the SDK has it: its types know fewer of the parameters. */
interface ListV2 {
  listV2(
    query: Record<string, string>,
    options: object,
  ): Promise<{
    objects?: { name: string; size: number; lastModified: string; etag: string }[];
    isTruncated: boolean;
    nextContinuationToken?: string;
  }>;
}
