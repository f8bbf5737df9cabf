import type { ObjectInfo, ObjectOperations, Op } from '@litestream/core';

import { download } from './download.ts';
import { objectKey } from './keys.ts';
import { etagOf, listBlobs } from './listing.ts';
import { type AbsSession, aborting } from './session.ts';
import { upload } from './upload.ts';

/** Raw blobs under the replica's path; conditions are ETags. */
export class AbsObjects implements ObjectOperations {
  readonly #open: () => Promise<AbsSession>;

  constructor(open: () => Promise<AbsSession>) {
    this.#open = open;
  }

  async *list(prefix: string, options: Op = {}): AsyncGenerator<ObjectInfo> {
    const session = await this.#open();
    const base = objectKey(session.settings.path, '');
    for await (const { name, properties } of listBlobs(session, base + prefix, options)) {
      yield {
        key: name.slice(base.length),
        size: properties.contentLength ?? 0,
        lastModified: properties.lastModified,
        version: etagOf(properties.etag),
      };
    }
  }

  async open(
    key: string,
    range: { offset?: number; size?: number } & Op = {},
  ): Promise<{ info: ObjectInfo; body: AsyncIterable<Uint8Array> }> {
    const session = await this.#open();
    const found = await download(session, objectKey(session.settings.path, key), range);
    const lastModified = found.lastModified ?? new Date(0);
    return { info: { key, size: found.size ?? 0, lastModified, version: etagOf(found.etag) }, body: found.body };
  }

  async put(
    key: string,
    body: Uint8Array,
    conditions: { ifMatch?: string; ifNoneMatch?: '*' } & Op = {},
  ): Promise<ObjectInfo> {
    const session = await this.#open();
    const { signal, ifMatch, ifNoneMatch } = conditions;
    const target = {
      key: objectKey(session.settings.path, key),
      contentType: key.endsWith('.json') ? 'application/json' : 'application/octet-stream',
      conditions: {
        ...(ifMatch === undefined ? {} : { ifMatch }),
        ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
      },
    };
    const stored = await upload(session, target, { size: body.byteLength, open: () => once(body) }, signal);
    return { key, size: stored.size, lastModified: stored.lastModified ?? new Date(), version: etagOf(stored.etag) };
  }

  async delete(key: string, conditions: { ifMatch?: string } & Op = {}): Promise<void> {
    const session = await this.#open();
    const { signal, ifMatch } = conditions;
    const full = objectKey(session.settings.path, key);
    const blob = session.container.getBlobClient(full);
    await session.run(full, signal, async () => {
      if (ifMatch === undefined) {
        await blob.deleteIfExists(aborting(signal));
        return;
      }
      try {
        await blob.delete({ ...aborting(signal), conditions: { ifMatch } });
      } catch (error) {
        // A condition on a missing blob fails like any other: check whether the blob exists.
        if ((error as { statusCode?: unknown }).statusCode === 412) await blob.getProperties(aborting(signal));
        throw error;
      }
    });
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
