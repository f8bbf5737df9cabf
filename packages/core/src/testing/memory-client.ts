/** A replica in memory with every capability, for tests of code that uses clients. */
import type {
  Body,
  Capabilities,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  ObjectInfo,
  ObjectOperations,
  Op,
  ReplicaClient,
  WriteOptions,
} from '../storage/contract/contract.ts';
import { compareKeys, ltxObjectName, parseLtxObjectName } from '../storage/contract/object-names.ts';
import { LitestreamError } from '../util/error.ts';

interface Entry {
  readonly bytes: Uint8Array;
  readonly time: Date;
  readonly version: string;
}

/** A store that several clients share, like a bucket. Keys are full paths. */
export class MemoryStore {
  readonly entries: Map<string, Entry> = new Map();
  #versions = 0;

  put(key: string, bytes: Uint8Array, time: Date): Entry {
    const entry = { bytes: bytes.slice(), time, version: `v${++this.#versions}` };
    this.entries.set(key, entry);
    return entry;
  }

  keys(prefix: string): string[] {
    return [...this.entries.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys);
  }
}

export interface MemoryClientOptions {
  /** Default: a new store. */
  readonly store?: MemoryStore | undefined;
  /** Path under the store. Default: its root. */
  readonly path?: string | undefined;
  /** Called before each operation takes effect; if it throws, the operation rejects with that error. */
  readonly before?: ((operation: string, object: string) => void | Promise<void>) | undefined;
  /** Bytes per chunk of a body that is read. Default 64 KiB. */
  readonly chunkSize?: number | undefined;
}

export class MemoryClient implements ReplicaClient {
  readonly type: string = 'memory';
  readonly capabilities: Capabilities = {
    objects: true,
    conditions: true,
    conditionalCreate: true,
    timestamps: 'listing',
    batchDelete: true,
    seekListing: true,
  };
  readonly objects: ObjectOperations;
  readonly store: MemoryStore;
  readonly #prefix: string;
  readonly #options: MemoryClientOptions;

  constructor(options: MemoryClientOptions = {}) {
    this.#options = options;
    this.store = options.store ?? new MemoryStore();
    this.#prefix = options.path === undefined || options.path === '' ? '' : `${options.path}/`;
    this.objects = {
      list: (prefix, op) => this.#listObjects(prefix, op),
      open: async (key, range) => await this.#openObject(key, range),
      put: async (key, body, conditions) => await this.#putObject(key, body, conditions),
      delete: async (key, conditions) => await this.#deleteObject(key, conditions),
    };
  }

  async init(options: Op = {}): Promise<void> {
    await this.#enter('init', '', options.signal);
  }

  async *ltxFiles(
    level: number,
    query: { seek?: bigint | undefined; useMetadata?: boolean | undefined } & Op = {},
  ): AsyncIterable<LtxFileInfo> {
    const folder = `${this.#prefix}ltx/${level}/`;
    await this.#enter('ltxFiles', folder, query.signal);
    for (const key of this.store.keys(folder)) {
      query.signal?.throwIfAborted();
      const txids = parseLtxObjectName(key);
      const entry = this.store.entries.get(key);
      if (txids === undefined || entry === undefined || txids.minTxid < (query.seek ?? 0n)) continue;
      yield infoOf({ level, ...txids }, entry);
    }
  }

  async openLtxFile(
    file: LtxFileRef,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<LtxFileBody> {
    const key = this.#key(file);
    await this.#enter('openLtxFile', key, range.signal);
    const entry = this.#entry(key);
    const body = chunks(cut(entry.bytes, range), this.#options.chunkSize ?? 65_536, range.signal);
    return Object.assign(body, { info: { size: entry.bytes.byteLength, version: entry.version } });
  }

  async writeLtxFile(
    file: LtxFileRef & { timestamp: Date },
    body: Body,
    options: WriteOptions = {},
  ): Promise<LtxFileInfo> {
    const key = this.#key(file);
    await this.#enter('writeLtxFile', key, options.signal);
    const parts: Uint8Array[] = [];
    for await (const chunk of body.open()) {
      options.signal?.throwIfAborted();
      parts.push(chunk.slice());
    }
    const bytes = Buffer.concat(parts);
    if (body.size !== undefined && body.size !== bytes.byteLength) {
      throw new LitestreamError(`body holds ${bytes.byteLength} bytes, ${body.size} were announced`, {
        code: 'INVALID_ARGUMENT',
      });
    }
    options.signal?.throwIfAborted();
    if (options.ifNoneMatch === '*' && this.store.entries.has(key)) throw conditionFailed(key);
    return infoOf(file, this.store.put(key, bytes, file.timestamp));
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options: Op = {}): Promise<void> {
    for (const file of files) {
      await this.#enter('deleteLtxFiles', this.#key(file), options.signal);
      this.store.entries.delete(this.#key(file));
    }
  }

  async deleteAll(options: Op = {}): Promise<void> {
    await this.#enter('deleteAll', '', options.signal);
    for (const key of this.store.keys(`${this.#prefix}ltx/`)) this.store.entries.delete(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The store outlives its clients.
  }

  async *#listObjects(prefix: string, options: Op = {}): AsyncIterable<ObjectInfo> {
    await this.#enter('objects.list', prefix, options.signal);
    for (const path of this.store.keys(this.#prefix + prefix)) {
      options.signal?.throwIfAborted();
      const entry = this.store.entries.get(path);
      if (entry !== undefined) yield objectOf(path.slice(this.#prefix.length), entry);
    }
  }

  async #openObject(
    key: string,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<{ info: ObjectInfo; body: AsyncIterable<Uint8Array> }> {
    await this.#enter('objects.open', key, range.signal);
    const entry = this.#entry(this.#prefix + key);
    const body = chunks(cut(entry.bytes, range), this.#options.chunkSize ?? 65_536, range.signal);
    return { info: objectOf(key, entry), body };
  }

  async #putObject(
    key: string,
    body: Uint8Array,
    conditions: { ifMatch?: string | undefined; ifNoneMatch?: '*' | undefined } & Op = {},
  ): Promise<ObjectInfo> {
    await this.#enter('objects.put', key, conditions.signal);
    const path = this.#prefix + key;
    if (conditions.ifNoneMatch === '*' && this.store.entries.has(path)) throw conditionFailed(key);
    if (conditions.ifMatch !== undefined) this.#compare(key, conditions.ifMatch);
    return objectOf(key, this.store.put(path, body, new Date()));
  }

  async #deleteObject(key: string, conditions: { ifMatch?: string | undefined } & Op = {}): Promise<void> {
    await this.#enter('objects.delete', key, conditions.signal);
    if (conditions.ifMatch !== undefined) this.#compare(key, conditions.ifMatch);
    this.store.entries.delete(this.#prefix + key);
  }

  #compare(key: string, version: string): void {
    if (this.#entry(this.#prefix + key).version !== version) throw conditionFailed(key);
  }

  #entry(path: string): Entry {
    const entry = this.store.entries.get(path);
    if (entry === undefined) throw new LitestreamError(`no such object: ${path}`, { code: 'NOT_FOUND' });
    return entry;
  }

  #key(file: LtxFileRef): string {
    return `${this.#prefix}ltx/${file.level}/${ltxObjectName(file)}`;
  }

  async #enter(operation: string, object: string, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    await this.#options.before?.(operation, object);
    signal?.throwIfAborted();
  }
}

function infoOf({ level, minTxid, maxTxid }: LtxFileRef, entry: Entry): LtxFileInfo {
  return { level, minTxid, maxTxid, size: entry.bytes.byteLength, timestamp: entry.time, version: entry.version };
}

function objectOf(key: string, entry: Entry): ObjectInfo {
  return { key, size: entry.bytes.byteLength, lastModified: entry.time, version: entry.version };
}

function cut(bytes: Uint8Array, range: { offset?: number | undefined; size?: number | undefined }): Uint8Array {
  const offset = range.offset ?? 0;
  return bytes.subarray(offset, range.size === undefined ? undefined : offset + range.size);
}

async function* chunks(bytes: Uint8Array, size: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) {
    // One microtask per chunk, so that an abort between two chunks is noticed, as with a socket.
    await Promise.resolve();
    signal?.throwIfAborted();
    yield bytes.slice(at, at + size);
  }
}

function conditionFailed(key: string): LitestreamError {
  return new LitestreamError(`the object changed: ${key}`, { code: 'PRECONDITION_FAILED' });
}
