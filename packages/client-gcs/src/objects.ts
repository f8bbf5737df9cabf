import type { Bucket } from '@google-cloud/storage';
import { type ObjectInfo, type ObjectOperations, type Op, raceAbort } from '@litestream/core';

import { download } from './transfer/download.ts';
import { gcsError, statusOf } from './transfer/errors.ts';
import { objectKey } from './keys.ts';
import { listFiles } from './listing.ts';
import { provenDeletion } from './transfer/proof.ts';
import { objectUrl, request } from './transfer/request.ts';
import type { GcsSettings } from './session.ts';
import { upload } from './transfer/upload.ts';

/** Raw objects under the replica's path; conditions are generations. */
export class GcsObjects implements ObjectOperations {
  readonly #open: () => Promise<Bucket>;
  readonly #settings: GcsSettings;

  constructor(settings: GcsSettings, open: () => Promise<Bucket>) {
    this.#settings = settings;
    this.#open = open;
  }

  async *list(prefix: string, options: Op = {}): AsyncGenerator<ObjectInfo> {
    const base = objectKey(this.#settings.path, '');
    for await (const { name, metadata } of listFiles(await this.#open(), base + prefix, options)) {
      yield {
        key: name.slice(base.length),
        size: Number(metadata.size ?? 0),
        lastModified: new Date(metadata.updated ?? 0),
        version: metadata.generation,
      };
    }
  }

  async open(
    key: string,
    range: { offset?: number; size?: number } & Op = {},
  ): Promise<{ info: ObjectInfo; body: AsyncIterable<Uint8Array> }> {
    const [bucket, full] = [await this.#open(), objectKey(this.#settings.path, key)];
    const found = await download(bucket, full, range);
    // Readers check an object against its size.
    const size = found.size ?? (await download(bucket, full, { size: 0 })).size ?? 0;
    const info = { key, size, lastModified: found.updated ?? new Date(0), version: found.generation };
    return { info, body: found.body };
  }

  async put(
    key: string,
    body: Uint8Array,
    conditions: { ifMatch?: string; ifNoneMatch?: '*' } & Op = {},
  ): Promise<ObjectInfo> {
    const target = {
      key: objectKey(this.#settings.path, key),
      contentType: key.endsWith('.json') ? 'application/json' : 'application/octet-stream',
      ifGenerationMatch: conditions.ifNoneMatch === '*' ? 0 : conditions.ifMatch,
    };
    // Core passes small bodies here: one request suffices.
    const options = { partSize: Number.MAX_SAFE_INTEGER, signal: conditions.signal };
    const source = { size: body.byteLength, open: () => once(body) };
    const stored = await upload(await this.#open(), target, source, options);
    return { key, size: stored.size, lastModified: stored.updated ?? new Date(), version: stored.generation };
  }

  async delete(key: string, conditions: { ifMatch?: string } & Op = {}): Promise<void> {
    const bucket = await this.#open();
    const full = objectKey(this.#settings.path, key);
    const { signal, ifMatch } = conditions;
    try {
      signal?.throwIfAborted();
      const url = objectUrl(bucket, full, ifMatch === undefined ? {} : { ifGenerationMatch: ifMatch });
      const deletion = request(bucket, { method: 'DELETE', url, signal, repeatable: ifMatch === undefined });
      provenDeletion(await raceAbort(deletion, signal));
    } catch (error) {
      const kind = gcsError(error, full, signal);
      const missing = statusOf(error) === 404 && (kind as { code?: unknown }).code === 'NOT_FOUND';
      if (missing && ifMatch === undefined) return;
      throw kind;
    }
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
