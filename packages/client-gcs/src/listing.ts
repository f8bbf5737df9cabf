import type { Bucket } from '@google-cloud/storage';
import {
  type LtxFileInfo,
  type Op,
  PageTokens,
  type TXID,
  malformedAnswer,
  parseLtxObjectName,
  parseObjectTime,
  raceAbort,
  txidText,
} from '@litestream/core';

import { gcsBucketError } from './transfer/errors.ts';
import { TIMESTAMP_KEY, levelPrefix, ltxPrefix } from './keys.ts';
import { listUrl, request } from './transfer/request.ts';

/** An object of a listing. */
export interface ListedObject {
  readonly name: string;
  readonly metadata: {
    readonly size?: string | undefined;
    readonly generation?: string | undefined;
    readonly updated?: string | undefined;
    readonly timeCreated?: string | undefined;
    readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  };
}

/**
 * Objects whose key begins with `prefix`, ascending, from the key `start` on. Does not use the SDK's listing, which accepts
 * any answer, and ends the process if the answer is not a listing.
 */
export async function* listFiles(
  bucket: Bucket,
  prefix: string,
  options: Op & { start?: string | undefined },
): AsyncGenerator<ListedObject> {
  const { signal } = options;
  const tokens = new PageTokens('gs');
  const start = options.start === undefined ? {} : { startOffset: options.start };
  let token: string | undefined;
  do {
    const page = await list(bucket, { prefix, ...start, ...(token === undefined ? {} : { pageToken: token }) }, signal);
    for (const object of page.objects) {
      signal?.throwIfAborted();
      yield object;
    }
    token = tokens.next(page.token, page.objects.length);
  } while (token !== undefined);
}

interface Page {
  readonly objects: readonly ListedObject[];
  readonly token: unknown;
}

async function list(
  bucket: Bucket,
  query: Readonly<Record<string, string>> & { prefix: string },
  signal: AbortSignal | undefined,
): Promise<Page> {
  try {
    signal?.throwIfAborted();
    const { data } = await raceAbort(request<unknown>(bucket, { url: listUrl(bucket, query), signal }), signal);
    if (!isRecord(data)) throw malformedAnswer('gs', 'it is not a valid listing');
    const { kind, items = [], nextPageToken } = data;
    // A listing without objects holds only its kind.
    if (kind !== 'storage#objects' && data['items'] === undefined)
      throw malformedAnswer('gs', 'it is not a valid listing');
    if (!Array.isArray(items)) throw malformedAnswer('gs', 'the listing has no list of objects');
    return { objects: items.map(toObject), token: nextPageToken };
  } catch (error) {
    throw gcsBucketError(error, query.prefix, signal);
  }
}

function toObject(item: unknown): ListedObject {
  if (!isRecord(item)) throw malformedAnswer('gs', 'the listing holds an entry that is not an object');
  const { name, size, generation, updated, timeCreated, metadata } = item;
  if (typeof name !== 'string' || name === '')
    throw malformedAnswer('gs', 'the listing holds an object without a name');
  if (textOf(size) === undefined) throw malformedAnswer('gs', 'the listing holds an object without a size');
  return {
    name,
    metadata: {
      size: textOf(size),
      generation: textOf(generation),
      updated: textOf(updated),
      timeCreated: textOf(timeCreated),
      metadata: isRecord(metadata) ? metadata : undefined,
    },
  };
}

/** Numbers come as text, since they may exceed what JSON numbers can hold. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Files of a level. The listing has their times. */
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

/** Files of all levels: the names of their folders sort like the levels. */
export async function* listAllLtxFiles(bucket: Bucket, path: string, { signal }: Op): AsyncGenerator<LtxFileInfo> {
  const folder = ltxPrefix(path);
  for await (const file of listFiles(bucket, folder, { signal })) {
    const level = Number(/^(\d)\//.exec(file.name.slice(folder.length))?.[1] ?? Number.NaN);
    const info = Number.isNaN(level) ? undefined : toInfo(file, levelPrefix(path, level), level);
    if (info !== undefined) yield info;
  }
}

function toInfo(file: ListedObject, prefix: string, level: number): LtxFileInfo | undefined {
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
    version: generation,
  };
}
