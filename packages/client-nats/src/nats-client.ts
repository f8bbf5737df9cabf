import {
  formatObjectTime,
  ltxObjectName,
  parseLtxObjectName,
  parseObjectTime,
  raceAbort,
  settleAborted,
  untilAborted,
} from '@litestream/core';
import type {
  Body,
  Capabilities,
  ErrorClass,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  Op,
  ReplicaClient,
} from '@litestream/core';
import type { ObjectInfo } from '@nats-io/obj';

import { download } from './download.ts';
import { classifyNatsError, natsError } from './errors.ts';
import type { NatsOptions } from './options.ts';
import { findObject, headerOf, listObjects, openStore } from './store.ts';
import type { NatsStore } from './store.ts';
import { upload } from './upload.ts';

const TIMESTAMP_HEADER = 'Litestream-Timestamp';
/** An aborted upload gets this long to take its chunks back. */
const CLEANUP_MS = 2_000;
const DELETES_IN_FLIGHT = 16;

/**
 * A replica in a NATS JetStream object store: objects `ltx/<level>/<min>-<max>.ltx`, the commit time in the header
 * `Litestream-Timestamp`. A bucket holds one replica: there is no path.
 */
export class NatsReplicaClient implements ReplicaClient {
  readonly type = 'nats';
  readonly capabilities: Capabilities = { timestamps: 'listing' };

  readonly #options: NatsOptions;
  #opened: Promise<NatsStore> | undefined;

  constructor(options: NatsOptions) {
    this.#options = options;
  }

  async init(options?: Op): Promise<void> {
    await this.#run('connect to NATS', undefined, options?.signal, async () => undefined);
  }

  /** The server cannot list by name, so every level costs a listing of the bucket. */
  async *ltxFiles(level: number, query?: { seek?: bigint | undefined } & Op): AsyncIterable<LtxFileInfo> {
    const prefix = `ltx/${level}/`;
    const objects = await this.#run('list a level', prefix, query?.signal, listObjects);
    const seek = query?.seek ?? 0n;
    const files = objects.flatMap((info): LtxFileInfo[] => {
      const txids = isLtxName(info.name) && info.name.startsWith(prefix) ? parseLtxObjectName(info.name) : undefined;
      if (txids === undefined || txids.minTxid < seek) return [];
      return [{ level, ...txids, size: info.size, timestamp: timeOf(info), version: info.digest }];
    });
    for (const file of files.sort(ascending)) {
      query?.signal?.throwIfAborted();
      yield file;
    }
  }

  async openLtxFile(
    file: LtxFileRef,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<LtxFileBody> {
    const { offset = 0, size = Infinity, signal } = range;
    const name = nameOf(file);
    const { store, info } = await this.#run('read an object', name, signal, async (store) => {
      const info = await findObject(store, name);
      if (info === undefined) throw Object.assign(new Error('object not found'), { code: OBJECT_NOT_FOUND });
      return { store, info };
    });
    const bytes = readObject(download(store, info, offset, size), name, signal);
    return Object.assign(bytes, { info: { size: info.size, version: info.digest } });
  }

  async writeLtxFile(file: LtxFileRef & { timestamp: Date }, body: Body, options?: Op): Promise<LtxFileInfo> {
    const name = nameOf(file);
    const signal = options?.signal;
    const headers = { [TIMESTAMP_HEADER]: [formatObjectTime(file.timestamp)] };
    const work = (store: NatsStore): ReturnType<typeof upload> => upload(store, name, headers, body, signal);
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
      return await settleAborted(work(await raceAbort(this.#open(), signal)), signal, graceMs);
    } catch (error) {
      signal?.throwIfAborted();
      throw natsError(error, doing, object);
    }
  }

  /** Connected on first use; tried anew after it failed, or after the connection was given up. */
  async #open(): Promise<NatsStore> {
    const current = this.#opened;
    if (current !== undefined) {
      const store = await current;
      if (!store.connection.isClosed()) return store;
      if (this.#opened === current) this.#opened = undefined;
    }
    if (this.#opened !== undefined) return this.#open();
    const opened = openStore(this.#options);
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

function timeOf(info: ObjectInfo): Date {
  return parseObjectTime(headerOf(info, TIMESTAMP_HEADER)) ?? new Date(info.mtime);
}

async function* readObject(
  chunks: AsyncGenerator<Uint8Array>,
  name: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    yield* untilAborted(chunks, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw natsError(error, 'read an object', name);
  }
}

/** Those that are gone already, of which a tombstone may be left, stay as they are. */
async function removeAll(store: NatsStore, names: readonly string[], signal?: AbortSignal): Promise<void> {
  for (let from = 0; from < names.length; from += DELETES_IN_FLIGHT) {
    signal?.throwIfAborted();
    await Promise.all(
      names.slice(from, from + DELETES_IN_FLIGHT).map(async (name) => {
        if ((await findObject(store, name)) !== undefined) await store.objects.delete(name);
      }),
    );
  }
}

function ascending(a: LtxFileInfo, b: LtxFileInfo): number {
  if (a.minTxid !== b.minTxid) return a.minTxid < b.minTxid ? -1 : 1;
  if (a.maxTxid === b.maxTxid) return 0;
  return a.maxTxid < b.maxTxid ? -1 : 1;
}
