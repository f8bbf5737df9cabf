import type { ObjectInfo, ObjectOperations, Op } from '@litestream/core';

import { download } from './download.ts';
import { objectKey } from './keys.ts';
import { listPages } from './listing.ts';
import { type S3Session, sendOptions } from './connection/session.ts';

/** Raw objects under the replica's path; conditions are the server's own `If-Match` and `If-None-Match`. */
export class S3Objects implements ObjectOperations {
  readonly #open: (signal?: AbortSignal) => Promise<S3Session>;

  constructor(open: (signal?: AbortSignal) => Promise<S3Session>) {
    this.#open = open;
  }

  async *list(prefix: string, options: Op = {}): AsyncGenerator<ObjectInfo> {
    const session = await this.#open(options.signal);
    const full = objectKey(session.settings.path, prefix);
    const baseLength = full.length - prefix.length;
    for await (const page of listPages(session, full, options)) {
      for (const object of page) {
        options.signal?.throwIfAborted();
        yield {
          key: (object.Key ?? '').slice(baseLength),
          size: object.Size ?? 0,
          lastModified: object.LastModified ?? new Date(0),
          version: object.ETag,
        };
      }
    }
  }

  async open(
    key: string,
    range: { offset?: number; size?: number } & Op = {},
  ): Promise<{ info: ObjectInfo; body: AsyncIterable<Uint8Array> }> {
    const session = await this.#open(range.signal);
    const full = objectKey(session.settings.path, key);
    const found = await download(session, full, range);
    // Readers check an object against its size.
    const size = found.size ?? (await download(session, full, { size: 0 })).size ?? 0;
    const info = { key, size, lastModified: found.lastModified ?? new Date(0), version: found.etag };
    return { info, body: found.body };
  }

  async put(
    key: string,
    body: Uint8Array,
    conditions: { ifMatch?: string; ifNoneMatch?: '*' } & Op = {},
  ): Promise<ObjectInfo> {
    const session = await this.#open(conditions.signal);
    const { sdk, client, settings } = session;
    const full = objectKey(settings.path, key);
    const command = new sdk.PutObjectCommand({
      Bucket: settings.bucket,
      Key: full,
      Body: body,
      ContentType: key.endsWith('.json') ? 'application/json' : 'application/octet-stream',
      ...settings.writeParams,
      ...(conditions.ifMatch === undefined ? {} : { IfMatch: conditions.ifMatch }),
      ...(conditions.ifNoneMatch === undefined ? {} : { IfNoneMatch: conditions.ifNoneMatch }),
    });
    const stored = await session.run(full, conditions.signal, () =>
      client.send(command, sendOptions(conditions.signal)),
    );
    return { key, size: body.byteLength, lastModified: new Date(), version: stored.ETag };
  }

  async delete(key: string, conditions: { ifMatch?: string } & Op = {}): Promise<void> {
    const session = await this.#open(conditions.signal);
    const { sdk, client, settings } = session;
    const full = objectKey(settings.path, key);
    const target = { Bucket: settings.bucket, Key: full };
    await session.run(full, conditions.signal, async () => {
      if (conditions.ifMatch === undefined) {
        await client.send(new sdk.DeleteObjectCommand(target), sendOptions(conditions.signal));
        return;
      }
      // Servers differ on a conditional delete of a missing object (404, 412, 204), and some ignore the condition: check first.
      const found = await client.send(
        new sdk.HeadObjectCommand({ ...target, ...settings.keyParams, IfMatch: conditions.ifMatch }),
        sendOptions(conditions.signal),
      );
      await client.send(
        new sdk.DeleteObjectCommand({ ...target, IfMatch: found.ETag ?? conditions.ifMatch }),
        sendOptions(conditions.signal),
      );
    });
  }
}
