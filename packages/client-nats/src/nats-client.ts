import {
  LitestreamError,
  SNAPSHOT_LEVEL,
  formatObjectTime,
  ltxObjectName,
  parseLtxObjectName,
  parseObjectTime,
  raceAbort,
  settleAborted,
  silentLogger,
  untilAborted,
} from '@litestream/core';
import type {
  Body,
  Capabilities,
  ErrorClass,
  Logger,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  Op,
  ReplicaClient,
  WriteOptions,
} from '@litestream/core';

import { download } from './download.ts';
import { classifyNatsError, natsError } from './errors.ts';
import { EitherSignal } from './link.ts';
import { findObject, listObjects, removeObject } from './objects.ts';
import type { StoredObject } from './objects.ts';
import type { NatsOptions } from './options.ts';
import { openStore } from './store.ts';
import type { NatsStore } from './store.ts';
import { upload } from './upload.ts';

const TIMESTAMP_HEADER = 'Litestream-Timestamp';
/** An aborted upload has this long to remove its chunks. */
const CLEANUP_MS = 2_000;
const DELETES_IN_FLIGHT = 16;
/** How long a call waits for a reconnection. */
const RECONNECT_MS = 10_000;

/**
 * A replica in a NATS JetStream object store: objects `ltx/<level>/<min>-<max>.ltx`, the commit time in the header
 * `Litestream-Timestamp`. A bucket holds one replica: there is no path.
 */
export class NatsReplicaClient implements ReplicaClient {
  readonly type = 'nats';
  /** A read cannot start in the middle: chunks may have any size, and no index tells which one holds a byte. */
  readonly capabilities: Capabilities = { timestamps: 'listing', conditionalCreate: true, ranges: false };

  readonly #options: NatsOptions;
  readonly #logger: Logger;
  #opened: Promise<NatsStore> | undefined;

  /** @param logger receives the warning about an unencrypted connection. Default: none. */
  constructor(options: NatsOptions, logger: Logger = silentLogger) {
    this.#options = options;
    this.#logger = logger;
  }

  async init(options?: Op): Promise<void> {
    await this.#run('connect to NATS', undefined, options?.signal, async () => undefined);
  }

  /** The server cannot list by name, so every level costs a listing of the bucket. */
  async *ltxFiles(level: number, query?: { seek?: bigint | undefined } & Op): AsyncIterable<LtxFileInfo> {
    const objects = await this.#run('list a level', `ltx/${level}/`, query?.signal, listObjects);
    const seek = query?.seek ?? 0n;
    for (const file of filesOf(objects, level)) {
      query?.signal?.throwIfAborted();
      if (file.minTxid >= seek) yield file;
    }
  }

  async *allLtxFiles(options: Op = {}): AsyncIterable<LtxFileInfo> {
    const objects = await this.#run('list all levels', 'ltx/', options.signal, listObjects);
    for (let level = 0; level <= SNAPSHOT_LEVEL; level++) {
      for (const file of filesOf(objects, level)) {
        options.signal?.throwIfAborted();
        yield file;
      }
    }
  }

  async openLtxFile(
    file: LtxFileRef,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<LtxFileBody> {
    const { offset = 0, size = Infinity, signal } = range;
    if (offset > 0) {
      throw new LitestreamError('NATS reads objects only from their beginning', {
        code: 'UNSUPPORTED',
        backend: 'nats',
      });
    }
    const name = nameOf(file);
    const { store, object } = await this.#run('read an object', name, signal, async (store) => {
      const object = await findObject(store, name);
      if (object === undefined || object.deleted === true) {
        throw Object.assign(new Error('object not found'), { code: OBJECT_NOT_FOUND });
      }
      return { store, object };
    });
    const bytes = readObject(store, object, size, signal);
    return Object.assign(bytes, { info: { size: object.size, version: object.digest } });
  }

  async writeLtxFile(file: LtxFileRef & { timestamp: Date }, body: Body, options?: WriteOptions): Promise<LtxFileInfo> {
    const name = nameOf(file);
    const signal = options?.signal;
    const headers = { [TIMESTAMP_HEADER]: [formatObjectTime(file.timestamp)] };
    const work = async (store: NatsStore): ReturnType<typeof upload> => {
      using either = new EitherSignal(signal, store.link.signal);
      return await upload(store, { name, headers, isNew: options?.ifNoneMatch === '*' }, body, either.signal);
    };
    const { size, digest } = await this.#run('write an object', name, signal, work, CLEANUP_MS);
    const { level, minTxid, maxTxid, timestamp } = file;
    return { level, minTxid, maxTxid, size, timestamp, version: digest };
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options?: Op): Promise<void> {
    const names = files.map(nameOf);
    const signal = options?.signal;
    await this.#run('delete objects', names[0], signal, (store) => removeAll(store, names, signal));
  }

  async deleteAll(options?: Op): Promise<void> {
    const signal = options?.signal;
    await this.#run('delete the replica', undefined, signal, async (store) => {
      const names = (await listObjects(store)).map(({ name }) => name).filter(isLtxName);
      await removeAll(store, names, signal);
    });
  }

  classify(error: unknown): ErrorClass | undefined {
    return classifyNatsError(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    const store = await opened?.catch(() => undefined);
    await store?.connection.close();
  }

  async #run<T>(
    doing: string,
    object: string | undefined,
    signal: AbortSignal | undefined,
    work: (store: NatsStore) => Promise<T>,
    graceMs = 0,
  ): Promise<T> {
    signal?.throwIfAborted();
    try {
      const store = await raceAbort(this.#open(), signal);
      if (store.link.signal.aborted) await waitFor(store.link.up(), signal);
      // When the connection breaks, running work would wait for an answer that cannot come.
      return await raceAbort(settleAborted(work(store), signal, graceMs), store.link.signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw natsError(error, doing, object);
    }
  }

  /** Connected on first use. After a failure, or after the connection was abandoned, the next use connects again. */
  async #open(): Promise<NatsStore> {
    const current = this.#opened;
    if (current !== undefined) {
      const store = await current;
      if (!store.connection.isClosed()) return store;
      if (this.#opened === current) this.#opened = undefined;
    }
    if (this.#opened !== undefined) return this.#open();
    const opened = openStore(this.#options, this.#logger);
    this.#opened = opened;
    try {
      return await opened;
    } catch (error) {
      if (this.#opened === opened) this.#opened = undefined;
      throw error;
    }
  }
}

/** The JetStream API's code for a message that does not exist. */
const OBJECT_NOT_FOUND = 10037;

function nameOf(file: LtxFileRef): string {
  return `ltx/${file.level}/${ltxObjectName(file)}`;
}

function isLtxName(name: string): boolean {
  return /^ltx\/\d+\/[^/]+$/.test(name) && parseLtxObjectName(name) !== undefined;
}

function timeOf({ headers, mtime }: StoredObject): Date {
  return parseObjectTime(headers?.[TIMESTAMP_HEADER]?.[0]) ?? parseObjectTime(mtime) ?? new Date(0);
}

async function* readObject(
  store: NatsStore,
  object: StoredObject,
  size: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  using either = new EitherSignal(signal, store.link.signal);
  try {
    yield* untilAborted(download(store, object, size), either.signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw natsError(error, 'read an object', object.name);
  }
}

async function removeAll(store: NatsStore, names: readonly string[], signal?: AbortSignal): Promise<void> {
  for (let from = 0; from < names.length; from += DELETES_IN_FLIGHT) {
    signal?.throwIfAborted();
    await Promise.all(names.slice(from, from + DELETES_IN_FLIGHT).map((name) => removeObject(store, name)));
  }
}

/** Gives a restarting server some time before the call fails. Core then retries the call. */
async function waitFor(up: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  using limit = new EitherSignal(signal, AbortSignal.timeout(RECONNECT_MS));
  await raceAbort(up, limit.signal);
}

/** The LTX files of a level, ascending. */
function filesOf(objects: readonly StoredObject[], level: number): readonly LtxFileInfo[] {
  const prefix = `ltx/${level}/`;
  const files = objects.flatMap((object): LtxFileInfo[] => {
    const { name, size, digest, deleted } = object;
    const txids = isLtxName(name) && name.startsWith(prefix) ? parseLtxObjectName(name) : undefined;
    if (txids === undefined || deleted === true) return [];
    return [{ level, ...txids, size, timestamp: timeOf(object), version: digest }];
  });
  return files.sort(ascending);
}

function ascending(a: LtxFileInfo, b: LtxFileInfo): number {
  if (a.minTxid !== b.minTxid) return a.minTxid < b.minTxid ? -1 : 1;
  if (a.maxTxid === b.maxTxid) return 0;
  return a.maxTxid < b.maxTxid ? -1 : 1;
}
