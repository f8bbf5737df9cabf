import type { ObjectInfo, ObjectOperations, Op } from '../contract/contract.ts';
import type { ObjectKeys } from './object-keys.ts';
import type { StoreCalls } from './store-calls.ts';

/** The raw objects below a replica's path. */
export class StoredObjects implements ObjectOperations {
  readonly #calls: StoreCalls;
  readonly #keys: ObjectKeys;

  constructor(calls: StoreCalls, keys: ObjectKeys) {
    this.#calls = calls;
    this.#keys = keys;
  }

  async *list(prefix: string, { signal }: Op = {}): AsyncGenerator<ObjectInfo> {
    const full = this.#keys.objectKey(prefix);
    const baseLength = full.length - prefix.length;
    for await (const objects of this.#calls.pages('objects.list', full, { signal })) {
      for (const { key, size, lastModified, version, isDeleted = false } of objects) {
        signal?.throwIfAborted();
        if (!isDeleted) yield { key: key.slice(baseLength), size, lastModified, version };
      }
    }
  }

  async open(
    key: string,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<{ info: ObjectInfo; body: AsyncIterable<Uint8Array> }> {
    const full = this.#keys.objectKey(key);
    const found = await this.#calls.get('objects.open', full, range);
    // Readers check an object against its size.
    const size = found.size ?? (await this.#calls.head('objects.open', full, range.signal)).size ?? 0;
    const { lastModified = new Date(0), version, body } = found;
    return { info: { key, size, lastModified, version }, body };
  }

  async put(
    key: string,
    body: Uint8Array,
    conditions: { ifMatch?: string | undefined; ifNoneMatch?: '*' | undefined } & Op = {},
  ): Promise<ObjectInfo> {
    const contentType = key.endsWith('.json') ? 'application/json' : 'application/octet-stream';
    const options = { ...conditions, contentType };
    const stored = await this.#calls.putBytes('objects.put', this.#keys.objectKey(key), body, options);
    const { lastModified = new Date(), version } = stored;
    return { key, size: body.byteLength, lastModified, version };
  }

  async delete(key: string, conditions: { ifMatch?: string | undefined } & Op = {}): Promise<void> {
    await this.#calls.delete('objects.delete', this.#keys.objectKey(key), conditions);
  }
}
