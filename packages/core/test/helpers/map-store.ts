import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';

import type { ObjectHead, ObjectStore, PutContent, StoredObject } from '../../src/storage/client-kit/object-store.ts';
import { compareKeys } from '../../src/storage/contract/object-names.ts';

const PAGE_SIZE = 20;

interface Stored {
  readonly bytes: Buffer;
  readonly version: string;
  readonly time: string | undefined;
  readonly lastModified: Date;
}

/** A store in memory. It throws errors as an HTTP SDK does, and records its calls. */
export class MapStore implements ObjectStore {
  readonly objects: Map<string, Stored> = new Map();
  readonly calls: string[] = [];
  isClosed = false;
  /** Whether listings show the times that `put` was given. */
  readonly showsTimes: boolean;
  /** Without it, objects are deleted one by one. */
  readonly deleteMany?: ObjectStore['deleteMany'];

  constructor(options: { readonly showsTimes: boolean; readonly deletesMany: boolean }) {
    this.showsTimes = options.showsTimes;
    if (options.deletesMany) {
      this.deleteMany = (keys) => {
        this.#begin('deleteMany', String(keys.length));
        for (const key of keys) this.objects.delete(key);
        return Promise.resolve();
      };
    }
  }

  async list({
    prefix,
    after = '',
    token = after,
  }: Parameters<ObjectStore['list']>[0]): ReturnType<ObjectStore['list']> {
    this.#begin('list', prefix);
    const keys = [...this.objects.keys()].sort(compareKeys);
    const left = keys.filter((key) => key.startsWith(prefix) && (token === '' || compareKeys(key, token) > 0));
    const objects = left.slice(0, PAGE_SIZE).map((key) => this.#rowOf(key));
    return await Promise.resolve({ objects, next: left.length > PAGE_SIZE ? objects.at(-1)?.key : '' });
  }

  async get(
    key: string,
    { offset, size = Infinity }: Parameters<ObjectStore['get']>[1],
  ): ReturnType<ObjectStore['get']> {
    this.#begin('get', key);
    const { bytes } = this.#find(key);
    if (offset >= bytes.length) throw refusal(416);
    const part = bytes.subarray(offset, offset + size);
    return await Promise.resolve({ ...this.#headOf(key), body: Readable.from([part]), length: part.length });
  }

  async head(key: string): Promise<ObjectHead> {
    this.#begin('head', key);
    return await Promise.resolve({ ...this.#headOf(key), time: this.#find(key).time });
  }

  async put(key: string, content: PutContent, options: Parameters<ObjectStore['put']>[2]): Promise<ObjectHead> {
    this.#begin('put', content.bytes === undefined ? `${key} in chunks` : key);
    const bytes = content.bytes ?? Buffer.concat(await Array.fromAsync(content.chunks()));
    options.signal?.throwIfAborted();
    if (options.ifNoneMatch === '*' && this.objects.has(key)) throw refusal(412);
    this.#expect(key, options.ifMatch);
    const [version, lastModified] = [randomUUID(), new Date()];
    this.objects.set(key, { bytes: Buffer.from(bytes), version, time: options.time, lastModified });
    return { version, lastModified };
  }

  async delete(key: string, { ifMatch }: Parameters<ObjectStore['delete']>[1]): Promise<void> {
    this.#begin('delete', key);
    this.#expect(key, ifMatch);
    this.objects.delete(key);
    await Promise.resolve();
  }

  #begin(method: string, what: string): void {
    if (this.isClosed) throw new Error('the store is closed');
    this.calls.push(`${method} ${what}`);
  }

  #find(key: string): Stored {
    const found = this.objects.get(key);
    if (found === undefined) throw refusal(404);
    return found;
  }

  #expect(key: string, version: string | undefined): void {
    if (version !== undefined && this.#find(key).version !== version) throw refusal(412);
  }

  #headOf(key: string): { size: number; lastModified: Date; version: string } {
    const { bytes, lastModified, version } = this.#find(key);
    return { size: bytes.length, lastModified, version };
  }

  #rowOf(key: string): StoredObject {
    const row = { key, ...this.#headOf(key) };
    return this.showsTimes ? { ...row, time: this.#find(key).time } : row;
  }
}

function refusal(status: number): Error {
  return Object.assign(new Error(`status ${status}`), { status });
}
