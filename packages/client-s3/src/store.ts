import { malformedAnswer, wholeSize } from '@litestream/core/client';
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
  StoredObject,
} from '@litestream/core/client';
import type { _Object as S3Object } from '@aws-sdk/client-s3';
import type { Readable } from 'node:stream';

import { type S3Session, sendOptions } from './connection/session.ts';
import { deleteMany } from './delete.ts';
import { putParts } from './upload.ts';

/** Metadata key of a file's time. */
const TIMESTAMP_KEY = 'litestream-timestamp';

/** The objects of a bucket; conditions are the server's own `If-Match` and `If-None-Match`. */
export class S3Store implements ObjectStore {
  readonly #session: S3Session;

  constructor(session: S3Session) {
    this.#session = session;
  }

  async list({ prefix, after, token, signal }: ListQuery): Promise<ListPage> {
    const { sdk, client, settings } = this.#session;
    const command = new sdk.ListObjectsV2Command({
      Bucket: settings.bucket,
      Prefix: prefix,
      ...(token === undefined ? {} : { ContinuationToken: token }),
      ...(token === undefined && after !== undefined ? { StartAfter: after } : {}),
    });
    const { IsTruncated: truncated, Contents: rows = [], ...page } = await client.send(command, sendOptions(signal));
    // Every page of S3 has this field. The SDK accepts every well-formed document.
    if (truncated === undefined) throw malformedAnswer('s3', 'it is not a valid listing');
    const objects = rows.map(storedObject);
    const next = truncated ? page.NextContinuationToken : undefined;
    if (truncated && !next) throw malformedAnswer('s3', 'the listing is truncated, without a token for the next page');
    return { objects, next };
  }

  async get(key: string, { offset, size, signal }: StoreRange): Promise<StoredBody> {
    const { sdk, client } = this.#session;
    const command = new sdk.GetObjectCommand({ ...this.#target(key), ...rangeHeader(offset, size) });
    const found = await client.send(command, sendOptions(signal));
    return {
      body: found.Body as unknown as Readable,
      length: found.ContentLength,
      size: wholeSize(found.ContentRange, found.ContentLength),
      version: found.ETag,
      lastModified: found.LastModified,
    };
  }

  async head(key: string, { signal }: Op): Promise<ObjectHead> {
    const { sdk, client } = this.#session;
    const found = await client.send(new sdk.HeadObjectCommand(this.#target(key)), sendOptions(signal));
    const { ContentLength: size = 0, ETag: version, LastModified: lastModified, Metadata: metadata } = found;
    return { size, version, lastModified, time: metadata?.[TIMESTAMP_KEY] };
  }

  /** In one request below the part size, otherwise in parts. */
  async put(key: string, content: PutContent, options: PutOptions): Promise<ObjectHead> {
    const { sdk, client, settings } = this.#session;
    const { contentType, time, ifMatch, ifNoneMatch, signal } = options;
    const input = {
      Bucket: settings.bucket,
      Key: key,
      ContentType: contentType,
      ...(time === undefined ? {} : { Metadata: { [TIMESTAMP_KEY]: time } }),
      ...settings.writeParams,
      // For an object in parts, the last request carries the condition.
      ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
      ...(ifNoneMatch === undefined ? {} : { IfNoneMatch: ifNoneMatch }),
    };
    const { bytes } = content;
    const stored = await (bytes === undefined
      ? putParts(this.#session, input, content, signal)
      : client.send(new sdk.PutObjectCommand({ ...input, Body: bytes }), sendOptions(signal)));
    return { version: stored.ETag };
  }

  async delete(key: string, { ifMatch, signal }: { readonly ifMatch?: string | undefined } & Op): Promise<void> {
    const { sdk, client, settings } = this.#session;
    const target = { Bucket: settings.bucket, Key: key };
    const options = sendOptions(signal);
    if (ifMatch === undefined) {
      await client.send(new sdk.DeleteObjectCommand(target), options);
      return;
    }
    // Servers differ on a conditional delete of a missing object (404, 412, 204), and some ignore the condition: check first.
    const found = await client.send(new sdk.HeadObjectCommand({ ...this.#target(key), IfMatch: ifMatch }), options);
    await client.send(new sdk.DeleteObjectCommand({ ...target, IfMatch: found.ETag ?? ifMatch }), options);
  }

  async deleteMany(keys: readonly string[], { signal }: Op): Promise<void> {
    await deleteMany(this.#session, keys, signal);
  }

  close(): void {
    this.#session.client.destroy();
  }

  /** Names an object in a request that reads it. */
  #target(key: string): { Bucket: string; Key: string } {
    const { settings } = this.#session;
    return { Bucket: settings.bucket, Key: key, ...settings.keyParams };
  }
}

function storedObject({ Key: key, Size: size, LastModified: modified, ETag: version }: S3Object): StoredObject {
  if (key === undefined || size === undefined) {
    throw malformedAnswer('s3', 'the listing holds an object without a name, or a size');
  }
  return { key, size, lastModified: modified ?? new Date(0), version };
}

function rangeHeader(offset: number, size: number | undefined): { Range?: string } {
  if (size !== undefined) return { Range: `bytes=${offset}-${offset + size - 1}` };
  return offset === 0 ? {} : { Range: `bytes=${offset}-` };
}
