import { PageTokens, malformedAnswer, parseLtxObjectName, parseObjectTime, txidText } from '@litestream/core';
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

/** Objects whose key starts with `prefix`, in key order, page by page; with `startAfter`, only those after that key. */
export async function* listObjects(
  session: OssSession,
  prefix: string,
  options: { startAfter?: string | undefined } & Op = {},
): AsyncGenerator<ListedObject[]> {
  const tokens = new PageTokens('oss');
  let token: string | undefined;
  do {
    const query = {
      // The SDK signs an empty value in another form than it sends.
      ...(prefix === '' ? {} : { prefix }),
      'max-keys': String(PAGE_SIZE),
      ...(options.startAfter === undefined ? {} : { 'start-after': options.startAfter }),
      ...(token === undefined ? {} : { 'continuation-token': token }),
    };
    const page = await session.call(prefix, options.signal, (client) =>
      listPage(client, session.settings.bucket, query),
    );
    yield page.objects;
    token = tokens.next(page.next, page.objects.length);
  } while (token !== undefined);
}

/** Files of a level. Exact times cost one request for each file: the listing has only the server's times. */
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

/** Does not use the SDK's listing, which accepts every well-formed document. */
async function listPage(
  client: OssSdk,
  bucket: string,
  { 'continuation-token': token, ...query }: Readonly<Record<string, string>>,
): Promise<{ objects: ListedObject[]; next: string | undefined }> {
  const { data } = await (client as unknown as Requests)
    .request({
      method: 'GET',
      bucket,
      query: { 'list-type': 2, ...query },
      ...(token === undefined ? {} : { subres: { 'continuation-token': token } }),
      xmlResponse: true,
      successStatuses: [200],
    })
    .catch(unread);
  const { IsTruncated: truncated, Contents: contents = [], NextContinuationToken: next } = data ?? {};
  if (truncated !== 'true' && truncated !== 'false') throw malformedAnswer('oss', 'it is not a valid listing');
  if (truncated === 'true' && !next)
    throw malformedAnswer('oss', 'the listing is truncated, without a token for the next page');
  const objects = (Array.isArray(contents) ? contents : [contents]).map(toObject);
  return { objects, next: truncated === 'true' ? next : undefined };
}

function toObject({ Key: key, Size: size, LastModified: modified = '', ETag: etag = '' }: Row): ListedObject {
  if (typeof key !== 'string' || key === '' || !/^\d+$/.test(String(size))) {
    throw malformedAnswer('oss', 'the listing holds an object without a name, or a size');
  }
  return { key, size: Number(size), lastModified: new Date(modified), etag };
}

/** The XML parser reports where it stopped; the SDK passes its error on unchanged. */
function unread(error: unknown): never {
  const isParser = error instanceof Error && !('status' in error) && /\nLine: \d+\nColumn: \d+/.test(error.message);
  throw isParser ? malformedAnswer('oss', 'it is not a valid listing') : error;
}

interface Row {
  readonly Key?: unknown;
  readonly Size?: unknown;
  readonly LastModified?: string;
  readonly ETag?: string;
}

/** The method that the SDK's own methods use. Its types leave it out. */
interface Requests {
  request(params: object): Promise<{
    /** Elements below the root; null for an empty body. */
    data: { IsTruncated?: string; Contents?: Row | Row[]; NextContinuationToken?: string } | null;
  }>;
}
