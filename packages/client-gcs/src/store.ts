import type { Bucket } from '@google-cloud/storage';
import { raceAbort, wholeSize } from '@litestream/core/client';
import type {
  ListPage,
  ListQuery,
  ObjectHead,
  ObjectStore,
  Op,
  PutContent,
  PutOptions,
  StoreRange,
  StoredBody,
} from '@litestream/core/client';
import type { Readable } from 'node:stream';

import { TIMESTAMP_KEY, type GcsSettings } from './session.ts';
import { classifyGcsError, statusOf } from './transfer/errors.ts';
import { listingOf, provenDeletion, provenDownload, storedObject } from './transfer/proof.ts';
import { listUrl, mediaUrl, objectUrl, request } from './transfer/request.ts';
import { upload } from './transfer/upload.ts';

/** The objects of a bucket; conditions are generations. */
export class GcsStore implements ObjectStore {
  readonly #bucket: Bucket;
  readonly #partSize: number;

  constructor(bucket: Bucket, settings: GcsSettings) {
    this.#bucket = bucket;
    this.#partSize = settings.partSize;
  }

  /** Does not use the SDK's listing, which accepts any answer, and ends the process if the answer is not a listing. */
  async list({ prefix, after, token, signal }: ListQuery): Promise<ListPage> {
    const query = {
      prefix,
      ...(after === undefined ? {} : { startOffset: after }),
      ...(token === undefined ? {} : { pageToken: token }),
    };
    const url = listUrl(this.#bucket, query);
    const { data } = await raceAbort(request<unknown>(this.#bucket, { url, signal }), signal);
    return listingOf(data, TIMESTAMP_KEY);
  }

  async get(key: string, { offset, size, signal }: StoreRange): Promise<StoredBody> {
    const { headers, data } = await request<Readable>(this.#bucket, {
      url: mediaUrl(this.#bucket, key),
      headers: { 'accept-encoding': 'identity', ...rangeHeader(offset, size) },
      responseType: 'stream',
      signal,
    });
    const generation = provenDownload(headers, data);
    const length = headers.has('content-length') ? Number(headers.get('content-length')) : undefined;
    const modified = headers.get('last-modified');
    return {
      body: data,
      length,
      size: wholeSize(headers.get('content-range'), length),
      version: generation,
      lastModified: modified === null ? undefined : new Date(modified),
    };
  }

  async head(key: string, { signal }: Op): Promise<ObjectHead> {
    const url = objectUrl(this.#bucket, key);
    const { data } = await raceAbort(request<unknown>(this.#bucket, { url, signal }), signal);
    return storedObject(data, key);
  }

  async put(key: string, content: PutContent, options: PutOptions): Promise<ObjectHead> {
    const { contentType, time, ifMatch, ifNoneMatch, signal } = options;
    const target = {
      key,
      contentType,
      metadata: time === undefined ? undefined : { [TIMESTAMP_KEY]: time },
      ifGenerationMatch: ifNoneMatch === '*' ? 0 : ifMatch,
    };
    return await upload(this.#bucket, target, content, { partSize: this.#partSize, signal });
  }

  async delete(key: string, { ifMatch, signal }: { readonly ifMatch?: string | undefined } & Op): Promise<void> {
    const url = objectUrl(this.#bucket, key, ifMatch === undefined ? {} : { ifGenerationMatch: ifMatch });
    try {
      const deletion = request(this.#bucket, { method: 'DELETE', url, signal, repeatable: ifMatch === undefined });
      provenDeletion(await raceAbort(deletion, signal));
    } catch (error) {
      const isMissing = statusOf(error) === 404 && classifyGcsError(error)?.code === 'NOT_FOUND';
      if (!isMissing || ifMatch !== undefined) throw error;
    }
  }
}

function rangeHeader(offset: number, size: number | undefined): Record<string, string> {
  if (size !== undefined) return { range: `bytes=${offset}-${offset + size - 1}` };
  return offset === 0 ? {} : { range: `bytes=${offset}-` };
}
