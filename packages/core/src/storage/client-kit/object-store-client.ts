import type { TXID } from '@litestream/ltx';

import { isLitestreamError } from '../../util/error.ts';
import type {
  Body,
  Capabilities,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  ObjectOperations,
  Op,
  ReplicaClient,
  WriteOptions,
} from '../contract/contract.ts';
import { formatObjectTime, parseObjectTime, txidText } from '../contract/object-names.ts';
import { classifyError } from '../errors/classify.ts';
import type { ErrorClass } from '../errors/sdk-errors.ts';
import { ObjectKeys } from './object-keys.ts';
import type { ObjectStoreDefinition } from './object-store.ts';
import { StoreCalls } from './store-calls.ts';
import { StoredObjects } from './stored-objects.ts';

const HEADS_MAX = 50;

/** Implements the client contract for a replica in any object store. */
export class ObjectStoreClient implements ReplicaClient {
  readonly type: string;
  readonly capabilities: Capabilities;
  readonly objects?: ObjectOperations | undefined;
  declare readonly allLtxFiles?: (options?: Op) => AsyncIterable<LtxFileInfo>;
  readonly #definition: ObjectStoreDefinition;
  readonly #keys: ObjectKeys;
  readonly #calls: StoreCalls;

  constructor(definition: ObjectStoreDefinition) {
    this.#definition = definition;
    this.#keys = new ObjectKeys(definition.keys);
    this.#calls = new StoreCalls(definition);
    this.type = definition.type;
    this.capabilities = definition.capabilities;
    if (definition.capabilities.objects === true) this.objects = new StoredObjects(this.#calls, this.#keys);
    if (definition.listsAllLevels === true) this.allLtxFiles = (options) => this.#allLtxFiles(options);
  }

  async init(options: Op = {}): Promise<void> {
    await this.#calls.connect('init', options.signal);
  }

  async *ltxFiles(
    level: number,
    query: { seek?: TXID | undefined; useMetadata?: boolean | undefined } & Op = {},
  ): AsyncGenerator<LtxFileInfo> {
    const { seek = 0n, useMetadata = false, signal } = query;
    const { capabilities, headsMax = HEADS_MAX } = this.#definition;
    const folder = this.#keys.levelFolder(level);
    // The text of a TXID sorts before every name that begins with it.
    const after = seek === 0n || capabilities.seekListing !== true ? undefined : folder + txidText(seek);
    const asksTimes = useMetadata && capabilities.timestamps === 'metadata';
    for await (const objects of this.#calls.pages('ltxFiles', folder, { after, signal })) {
      const files = objects.flatMap((object) => this.#keys.fileOf(object) ?? []).filter((file) => file.minTxid >= seek);
      const step = asksTimes ? headsMax : Math.max(files.length, 1);
      for (let from = 0; from < files.length; from += step) {
        const some = files.slice(from, from + step);
        const infos = asksTimes ? await Promise.all(some.map((file) => this.#withTime(file, signal))) : some;
        for (const info of infos) {
          signal?.throwIfAborted();
          if (info !== undefined) yield info;
        }
      }
    }
  }

  async openLtxFile(
    file: LtxFileRef,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<LtxFileBody> {
    const { body, size, version } = await this.#calls.get('openLtxFile', this.#keys.ltxKey(file), range);
    return Object.assign(body, { info: { size, version } });
  }

  async writeLtxFile(
    file: LtxFileRef & { timestamp: Date },
    body: Body,
    { ifNoneMatch, signal }: WriteOptions = {},
  ): Promise<LtxFileInfo> {
    const { level, minTxid, maxTxid, timestamp } = file;
    const stored = await this.#calls.put('writeLtxFile', this.#keys.ltxKey(file), body, {
      contentType: 'application/octet-stream',
      time: formatObjectTime(timestamp),
      ifNoneMatch,
      signal,
    });
    return { level, minTxid, maxTxid, timestamp, size: stored.size, version: stored.version };
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options: Op = {}): Promise<void> {
    const keys = files.map((file) => this.#keys.ltxKey(file));
    await this.#calls.deleteMany('deleteLtxFiles', keys, options.signal);
  }

  async deleteAll({ signal }: Op = {}): Promise<void> {
    const { folder } = this.#keys;
    let after: string | undefined;
    do {
      const pages = this.#calls.pages('deleteAll', folder, { after, signal });
      after = undefined;
      for await (const objects of pages) {
        const keys = objects.map(({ key }) => key);
        const ltxKeys = keys.filter((key) => this.#keys.isLtxKey(key));
        await this.#calls.deleteMany('deleteAll', ltxKeys, signal);
        if (this.#definition.relistsAfterDelete !== true) continue;
        after = keys.at(-1);
        break;
      }
    } while (after !== undefined);
  }

  classify(error: unknown): ErrorClass | undefined {
    return this.#definition.classify?.(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#calls.close();
  }

  async *#allLtxFiles({ signal }: Op = {}): AsyncGenerator<LtxFileInfo> {
    for await (const objects of this.#calls.pages('allLtxFiles', this.#keys.levelsPrefix, { signal })) {
      for (const object of objects) {
        const file = this.#keys.fileOf(object);
        signal?.throwIfAborted();
        if (file !== undefined) yield file;
      }
    }
  }

  /** The file, with the time from its metadata if there is one; `undefined` if the file was deleted meanwhile. */
  async #withTime(file: LtxFileInfo, signal: AbortSignal | undefined): Promise<LtxFileInfo | undefined> {
    try {
      const { time } = await this.#calls.head('ltxFiles', this.#keys.ltxKey(file), signal);
      return { ...file, timestamp: parseObjectTime(time) ?? file.timestamp };
    } catch (error) {
      const { code } = isLitestreamError(error) ? error : (this.classify(error) ?? classifyError(error));
      if (code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }
}

/** Makes a client for a replica in an object store. It connects on first use. */
export function createObjectStoreClient(definition: ObjectStoreDefinition): ReplicaClient {
  return new ObjectStoreClient(definition);
}
