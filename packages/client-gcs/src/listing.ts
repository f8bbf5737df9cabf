import type { Bucket, File, GetFilesOptions } from '@google-cloud/storage';
import {
  type LtxFileInfo,
  type Op,
  type TXID,
  parseLtxObjectName,
  parseObjectTime,
  raceAbort,
  txidText,
} from '@litestream/core';

import { gcsBucketError } from './errors.ts';
import { TIMESTAMP_KEY, levelPrefix, ltxPrefix } from './keys.ts';

/** Objects whose key begins with `prefix`, ascending, from the key `start` on. */
export async function* listFiles(
  bucket: Bucket,
  prefix: string,
  options: Op & { start?: string | undefined },
): AsyncGenerator<File> {
  const { signal } = options;
  let query: GetFilesOptions | undefined = {
    prefix,
    // Each page's query has to say so anew: the one the SDK suggests as next would fetch all the rest at once.
    autoPaginate: false,
    ...(options.start === undefined ? {} : { startOffset: options.start }),
  };
  while (query !== undefined) {
    const { files, token }: Page = await list(bucket, query, signal);
    for (const file of files) {
      signal?.throwIfAborted();
      yield file;
    }
    query = token === undefined ? undefined : { ...query, pageToken: token };
  }
}

interface Page {
  readonly files: readonly File[];
  readonly token: string | undefined;
}

async function list(bucket: Bucket, query: GetFilesOptions, signal: AbortSignal | undefined): Promise<Page> {
  try {
    signal?.throwIfAborted();
    const [files, , answer] = await raceAbort(bucket.getFiles(query), signal);
    return { files, token: (answer as { nextPageToken?: string } | undefined)?.nextPageToken };
  } catch (error) {
    throw gcsBucketError(error, query.prefix ?? '', signal);
  }
}

/** Files of a level. Their times stand in the listing itself. */
export async function* listLtxFiles(
  bucket: Bucket,
  path: string,
  level: number,
  query: { seek?: TXID | undefined } & Op,
): AsyncGenerator<LtxFileInfo> {
  const prefix = levelPrefix(path, level);
  const seek = query.seek ?? 0n;
  const start = seek === 0n ? undefined : prefix + txidText(seek);
  for await (const file of listFiles(bucket, prefix, { signal: query.signal, start })) {
    const info = toInfo(file, prefix, level);
    if (info !== undefined && info.minTxid >= seek) yield info;
  }
}

/** Files of all levels, whose folders sort as they do. */
export async function* listAllLtxFiles(bucket: Bucket, path: string, { signal }: Op): AsyncGenerator<LtxFileInfo> {
  const folder = ltxPrefix(path);
  for await (const file of listFiles(bucket, folder, { signal })) {
    const level = Number(/^(\d)\//.exec(file.name.slice(folder.length))?.[1] ?? Number.NaN);
    const info = Number.isNaN(level) ? undefined : toInfo(file, levelPrefix(path, level), level);
    if (info !== undefined) yield info;
  }
}

function toInfo(file: File, prefix: string, level: number): LtxFileInfo | undefined {
  const name = file.name.slice(prefix.length);
  const txids = name.includes('/') ? undefined : parseLtxObjectName(name);
  if (txids === undefined) return undefined;
  const { size, generation, metadata, timeCreated } = file.metadata;
  const stored = metadata?.[TIMESTAMP_KEY];
  return {
    level,
    ...txids,
    size: Number(size ?? 0),
    timestamp: parseObjectTime(typeof stored === 'string' ? stored : undefined) ?? new Date(timeCreated ?? 0),
    version: generation === undefined ? undefined : String(generation),
  };
}
