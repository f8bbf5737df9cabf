import { LitestreamError, ltxObjectName, parseLtxObjectName, txidText } from '@litestream/core';
import type {
  Body,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  ObjectInfo,
  ObjectOperations,
  Op,
  ReplicaClient,
  TXID,
  WriteOptions,
} from '@litestream/core';
import { Store } from './store.ts';
import type { Range, StoredObject } from './store.ts';

const LEVELS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/** Keeps the files of one replica in a SQLite database, beside those of others. */
export class SqliteClient implements ReplicaClient {
  readonly type = 'sqlite-store';
  readonly capabilities = {
    timestamps: 'listing',
    seekListing: true,
    batchDelete: true,
    objects: true,
    conditions: true,
    conditionalCreate: true,
  } as const;
  readonly #file: string;
  readonly #path: string;
  #opened: Store | undefined;

  /** @param path Name of the replica; objects of other paths are not seen. */
  constructor(file: string, path: string) {
    this.#file = file;
    this.#path = path;
  }

  async init({ signal }: Op = {}): Promise<void> {
    signal?.throwIfAborted();
    this.#opened ??= new Store(this.#file);
  }

  async *ltxFiles(
    level: number,
    { seek = 0n, signal }: { seek?: TXID | undefined } & Op = {},
  ): AsyncIterable<LtxFileInfo> {
    const folder = `ltx/${level}/`;
    for (const object of this.#store.list(this.#path, folder, folder + txidText(seek))) {
      signal?.throwIfAborted();
      const txids = parseLtxObjectName(object.key);
      if (txids !== undefined) yield infoOf({ level, ...txids }, object);
    }
    signal?.throwIfAborted();
  }

  async openLtxFile(file: LtxFileRef, range: Range = {}): Promise<LtxFileBody> {
    range.signal?.throwIfAborted();
    const object = this.#store.get(this.#path, keyOf(file));
    const info = { size: object.size, version: object.id };
    return Object.assign(this.#store.read(object, range), { info });
  }

  async writeLtxFile(
    file: LtxFileRef & { timestamp: Date },
    body: Body,
    { ifNoneMatch, signal }: WriteOptions = {},
  ): Promise<LtxFileInfo> {
    const condition = ifNoneMatch === undefined ? undefined : null;
    const options = { time: file.timestamp, condition, signal };
    return infoOf(file, await this.#store.write(this.#path, keyOf(file), body, options));
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], { signal }: Op = {}): Promise<void> {
    signal?.throwIfAborted();
    this.#store.delete(this.#path, files.map(keyOf));
  }

  async deleteAll({ signal }: Op = {}): Promise<void> {
    for (const level of LEVELS) await this.deleteLtxFiles(await Array.fromAsync(this.ltxFiles(level, { signal })));
  }

  /** LTX files are objects like others; these are for leases, and for looking. */
  readonly objects: ObjectOperations = {
    list: (prefix, { signal } = {}) => this.#listObjects(prefix, signal),
    open: async (key, range = {}) => {
      range.signal?.throwIfAborted();
      const object = this.#store.get(this.#path, key);
      return { info: objectInfo(object), body: this.#store.read(object, range) };
    },
    put: async (key, bytes, { ifMatch, ifNoneMatch, signal } = {}) => {
      const body = {
        async *open() {
          yield bytes;
        },
      };
      const condition = ifNoneMatch === undefined ? ifMatch : null;
      return objectInfo(await this.#store.write(this.#path, key, body, { time: new Date(), condition, signal }));
    },
    delete: async (key, { ifMatch, signal } = {}) => {
      signal?.throwIfAborted();
      this.#store.delete(this.#path, [key], ifMatch);
    },
  };

  async *#listObjects(prefix: string, signal: AbortSignal | undefined): AsyncGenerator<ObjectInfo> {
    for (const object of this.#store.list(this.#path, prefix)) {
      signal?.throwIfAborted();
      yield objectInfo(object);
    }
    signal?.throwIfAborted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#opened?.close();
    this.#opened = undefined;
  }

  get #store(): Store {
    if (this.#opened !== undefined) return this.#opened;
    throw new LitestreamError('the client is not open', { code: 'ABORTED' });
  }
}

function keyOf(file: LtxFileRef): string {
  return `ltx/${file.level}/${ltxObjectName(file)}`;
}

function infoOf({ level, minTxid, maxTxid }: LtxFileRef, { size, time, id }: StoredObject): LtxFileInfo {
  return { level, minTxid, maxTxid, size, timestamp: time, version: id };
}

function objectInfo({ key, size, time, id }: StoredObject): ObjectInfo {
  return { key, size, lastModified: time, version: id };
}
