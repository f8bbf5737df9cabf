import {
  type LtxFileInfo,
  type Op,
  PageTokens,
  SNAPSHOT_LEVEL,
  type TXID,
  malformedAnswer,
  parseLtxObjectName,
  parseObjectTime,
  txidText,
} from '@litestream/core';
import type { _Object as S3Object } from '@aws-sdk/client-s3';

import { TIMESTAMP_KEY, levelPrefix, ltxKey } from './keys.ts';
import { type S3Session, sendOptions } from './connection/session.ts';

/** Pages of objects whose key begins with `prefix`, ascending, after the key `after`. */
export async function* listPages(
  session: S3Session,
  prefix: string,
  options: Op & { after?: string | undefined },
): AsyncGenerator<readonly S3Object[]> {
  const { sdk, client, settings } = session;
  const tokens = new PageTokens('s3');
  let token: string | undefined;
  do {
    const command = new sdk.ListObjectsV2Command({
      Bucket: settings.bucket,
      Prefix: prefix,
      ...(token === undefined ? {} : { ContinuationToken: token }),
      ...(token === undefined && options.after !== undefined ? { StartAfter: options.after } : {}),
    });
    const page = await session.run(prefix, options.signal, () => client.send(command, sendOptions(options.signal)));
    // Every page of S3 has this field. The SDK accepts every well-formed document.
    if (page.IsTruncated === undefined) throw malformedAnswer('s3', 'it is not a valid listing');
    yield (page.Contents ?? []).map(checked);
    token = page.IsTruncated ? tokens.next(page.NextContinuationToken, page.Contents?.length ?? 0) : undefined;
    if (page.IsTruncated && token === undefined)
      throw malformedAnswer('s3', 'the listing is truncated, without a token for the next page');
  } while (token !== undefined);
}

function checked(object: S3Object): S3Object {
  if (object.Key === undefined || object.Size === undefined) {
    throw malformedAnswer('s3', 'the listing holds an object without a name, or a size');
  }
  return object;
}

/** Files of a level. With `useMetadata`, one HEAD request per file, many at a time, for its exact time. */
export async function* listLtxFiles(
  session: S3Session,
  level: number,
  query: { seek?: TXID | undefined; useMetadata?: boolean | undefined } & Op,
): AsyncGenerator<LtxFileInfo> {
  const { settings } = session;
  const prefix = levelPrefix(settings.path, level);
  const seek = query.seek ?? 0n;
  // The text of a TXID sorts before every name that begins with it.
  const after = seek === 0n ? undefined : prefix + txidText(seek);
  for await (const page of listPages(session, prefix, { signal: query.signal, after })) {
    const files = page.flatMap((object) => toInfo(object, prefix, level) ?? []).filter((file) => file.minTxid >= seek);
    for (let start = 0; start < files.length; start += settings.metadataConcurrency) {
      const some = files.slice(start, start + settings.metadataConcurrency);
      const exact =
        query.useMetadata === true
          ? await Promise.all(some.map((file) => withTime(session, file, query.signal)))
          : some;
      for (const file of exact) {
        query.signal?.throwIfAborted();
        if (file !== undefined) yield file;
      }
    }
  }
}

/** Files of all levels: their folders have the same prefix, and sort like the levels. */
export async function* listAllLtxFiles(session: S3Session, { signal }: Op): AsyncGenerator<LtxFileInfo> {
  const { path } = session.settings;
  const first = levelPrefix(path, 0);
  for await (const page of listPages(session, first.slice(0, -'0/'.length), { signal })) {
    for (const object of page) {
      const level = Number.parseInt(object.Key?.slice(first.length - '0/'.length) ?? '', 10);
      const prefix = levelPrefix(path, level);
      const file =
        level <= SNAPSHOT_LEVEL && object.Key?.startsWith(prefix) ? toInfo(object, prefix, level) : undefined;
      signal?.throwIfAborted();
      if (file !== undefined) yield file;
    }
  }
}

function toInfo(object: S3Object, prefix: string, level: number): LtxFileInfo | undefined {
  const key = object.Key ?? '';
  const name = key.slice(prefix.length);
  const txids = name.includes('/') ? undefined : parseLtxObjectName(name);
  if (txids === undefined) return undefined;
  return {
    level,
    ...txids,
    size: object.Size ?? 0,
    timestamp: object.LastModified ?? new Date(0),
    version: object.ETag,
  };
}

/** The file with the time from its metadata, if it has one; `undefined` if it was deleted meanwhile. */
async function withTime(
  session: S3Session,
  file: LtxFileInfo,
  signal: AbortSignal | undefined,
): Promise<LtxFileInfo | undefined> {
  const { sdk, client, settings } = session;
  const key = ltxKey(settings.path, file);
  const command = new sdk.HeadObjectCommand({ Bucket: settings.bucket, Key: key, ...settings.keyParams });
  try {
    const found = await session.run(key, signal, () => client.send(command, sendOptions(signal)));
    const timestamp = parseObjectTime(found.Metadata?.[TIMESTAMP_KEY]) ?? file.timestamp;
    return { ...file, timestamp };
  } catch (error) {
    if ((error as { code?: unknown }).code === 'NOT_FOUND') return undefined;
    throw error;
  }
}
