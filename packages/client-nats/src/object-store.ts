import { parseObjectTime, raceAbort, settleAborted, untilAborted } from '@litestream/core/client';
import type {
  ListPage,
  ListQuery,
  ObjectHead,
  ObjectStore,
  Op,
  PutContent,
  PutOptions,
  StoreRange,
  StoredBody,
  StoredObject as Row,
} from '@litestream/core/client';

import { download } from './download.ts';
import { EitherSignal } from './link.ts';
import { findObject, listObjects, removeObject } from './objects.ts';
import type { StoredObject } from './objects.ts';
import type { NatsStore } from './store.ts';
import { upload } from './upload.ts';

const TIMESTAMP_HEADER = 'Litestream-Timestamp';
/** An aborted upload has this long to remove its chunks. */
const CLEANUP_MS = 2_000;
/** How long a call waits for a reconnection. */
const RECONNECT_MS = 10_000;
/** The JetStream API's code for a message that does not exist. */
const OBJECT_NOT_FOUND = 10037;

/** The objects of a bucket. */
export class NatsObjects implements ObjectStore {
  readonly #store: NatsStore;

  constructor(store: NatsStore) {
    this.#store = store;
  }

  get isClosed(): boolean {
    return this.#store.connection.isClosed();
  }

  /** The server cannot list by name: every listing reads the whole bucket, as one page. */
  async list({ prefix, signal }: ListQuery): Promise<ListPage> {
    const objects = await this.#run(signal, listObjects);
    const rows = objects.filter(({ name }) => name.startsWith(prefix)).map(rowOf);
    return { objects: rows.sort((a, b) => (a.key < b.key ? -1 : 1)) };
  }

  async get(key: string, { size = Infinity, signal }: StoreRange): Promise<StoredBody> {
    const object = await this.#find(key, signal);
    return { ...headOf(object), body: this.#read(object, size, signal) };
  }

  async head(key: string, { signal }: Op): Promise<ObjectHead> {
    return headOf(await this.#find(key, signal));
  }

  async put(key: string, content: PutContent, { time, ifNoneMatch, signal }: PutOptions): Promise<ObjectHead> {
    const headers = time === undefined ? {} : { [TIMESTAMP_HEADER]: [time] };
    const target = { name: key, headers, isNew: ifNoneMatch === '*' };
    const work = async (store: NatsStore): Promise<ObjectHead> => {
      using either = new EitherSignal(signal, store.link.signal);
      return { version: await upload(store, target, content.chunks(), either.signal) };
    };
    return await this.#run(signal, work, CLEANUP_MS);
  }

  async delete(key: string, { signal }: Op): Promise<void> {
    await this.#run(signal, (store) => removeObject(store, key));
  }

  async close(): Promise<void> {
    await this.#store.connection.close();
  }

  async #find(name: string, signal: AbortSignal | undefined): Promise<StoredObject> {
    const object = await this.#run(signal, (store) => findObject(store, name));
    if (object !== undefined && object.deleted !== true) return object;
    throw Object.assign(new Error('object not found'), { code: OBJECT_NOT_FOUND });
  }

  async *#read(object: StoredObject, size: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    using either = new EitherSignal(signal, this.#store.link.signal);
    yield* untilAborted(download(this.#store, object, size), either.signal);
  }

  async #run<T>(signal: AbortSignal | undefined, work: (store: NatsStore) => Promise<T>, graceMs = 0): Promise<T> {
    const { link } = this.#store;
    signal?.throwIfAborted();
    if (link.signal.aborted) await waitFor(link.up(), signal);
    // When the connection breaks, running work would wait for an answer that cannot come.
    return await raceAbort(settleAborted(work(this.#store), signal, graceMs), link.signal);
  }
}

/** Gives a restarting server some time before the call fails. Then core retries the call. */
async function waitFor(up: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  using limit = new EitherSignal(signal, AbortSignal.timeout(RECONNECT_MS));
  await raceAbort(up, limit.signal);
}

function headOf({ size, digest }: StoredObject): ObjectHead {
  return { size, version: digest };
}

function rowOf({ name, size, digest, mtime, headers, deleted }: StoredObject): Row {
  const time = headers?.[TIMESTAMP_HEADER]?.[0];
  const lastModified = parseObjectTime(mtime) ?? new Date(0);
  return { key: name, size, lastModified, version: digest, time, isDeleted: deleted };
}
