import { malformedAnswer } from '@litestream/core/client';
import type { ListPage, ListQuery, StoredObject } from '@litestream/core/client';
import type OssSdk from 'ali-oss';

import type { OssSession } from './session.ts';

const PAGE_SIZE = 1000;

/** A page of a listing. Does not use the SDK's listing, which accepts every well-formed document. */
export async function list(session: OssSession, { prefix, after, token, signal }: ListQuery): Promise<ListPage> {
  const request = {
    method: 'GET',
    bucket: session.settings.bucket,
    query: {
      'list-type': 2,
      // The SDK signs an empty value in another form than it sends.
      ...(prefix === '' ? {} : { prefix }),
      'max-keys': String(PAGE_SIZE),
      ...(after === undefined ? {} : { 'start-after': after }),
    },
    ...(token === undefined ? {} : { subres: { 'continuation-token': token } }),
    xmlResponse: true,
    successStatuses: [200],
  };
  const { data } = await session.run(signal, (client) => requestsOf(client).request(request).catch(unread));
  const { IsTruncated: truncated, Contents: contents = [], NextContinuationToken: next } = data ?? {};
  if (truncated !== 'true' && truncated !== 'false') throw malformedAnswer('oss', 'it is not a valid listing');
  if (truncated === 'true' && !next)
    throw malformedAnswer('oss', 'the listing is truncated, without a token for the next page');
  const objects = (Array.isArray(contents) ? contents : [contents]).map(toObject);
  return { objects, next: truncated === 'true' ? next : undefined };
}

function toObject({ Key: key, Size: size, LastModified: modified = '', ETag: etag = '' }: Row): StoredObject {
  if (typeof key !== 'string' || key === '' || !/^\d+$/.test(String(size))) {
    throw malformedAnswer('oss', 'the listing holds an object without a name, or a size');
  }
  return { key, size: Number(size), lastModified: new Date(modified), version: etag };
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
function requestsOf(client: OssSdk): Requests {
  return client as unknown as Requests;
}

interface Requests {
  request(params: object): Promise<{
    /** Elements below the root; null for an empty body. */
    data: { IsTruncated?: string; Contents?: Row | Row[]; NextContinuationToken?: string } | null;
  }>;
}
