/**
 * Finds, lists and removes the objects of a store. Does not use the SDK's calls for this: its `list` names an object twice if
 * it is replaced meanwhile, and its `delete` leaves a message forever.
 */
import type { JsMsg, StoredMsg } from '@nats-io/jetstream';

import { LitestreamError } from '@litestream/core/client';

import { chunkSubject, metaSubject, purge } from './store.ts';
import type { NatsStore } from './store.ts';

const BATCH_SIZE = 500;
const FETCH_TIMEOUT_MS = 1_000;
/** The most empty fetches in a row while the server reports more messages. */
const EMPTY_FETCHES_MAX = 10;
const CONSUMER_IDLE_NS = 60e9;

/** The metadata of an object (ADR-20, with the field names that all SDKs use). */
export interface StoredObject {
  readonly name: string;
  /** Part of the subject of its chunks. */
  readonly nuid: string;
  readonly size: number;
  readonly chunks: number;
  readonly digest: string;
  readonly mtime: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  /** True for the mark that another program leaves when it deletes an object. */
  readonly deleted?: boolean;
  /** Sequence number of the metadata message. */
  readonly revision: number;
}

/** The metadata of an object, deleted or not. `undefined` if there is none. */
export async function findObject(store: NatsStore, name: string): Promise<StoredObject | undefined> {
  const message = await store.manager.streams.getMessage(store.stream, { last_by_subj: metaSubject(store, name) });
  return message === null ? undefined : parse(message, message.seq);
}

/** All objects, deleted ones included, each once. */
export async function listObjects(store: NatsStore): Promise<StoredObject[]> {
  const found = new Map<string, StoredObject>();
  for await (const message of latestMessages(store)) {
    const object = parse(message, message.seq);
    // An object that is replaced during the listing appears again later.
    if (object !== undefined) found.set(object.name, object);
  }
  return [...found.values()];
}

/** Removes an object, or the mark of a deletion by another program. A missing object is not an error. */
export async function removeObject(store: NatsStore, name: string): Promise<void> {
  const object = await findObject(store, name);
  if (object === undefined) return;
  // Only this version: another process may be storing a new one.
  await purge(store, metaSubject(store, name), object.revision + 1);
  if (object.deleted !== true) await purge(store, chunkSubject(store, object.nuid));
}

/** The last message about each object. Ends after all messages that existed at the beginning. */
async function* latestMessages(store: NatsStore): AsyncGenerator<JsMsg> {
  const { stream, manager, jetstream } = store;
  const info = await manager.consumers.add(stream, {
    filter_subject: metaSubject(store, '>'),
    deliver_policy: 'last_per_subject',
    ack_policy: 'none',
    mem_storage: true,
    inactive_threshold: CONSUMER_IDLE_NS,
  });
  try {
    const consumer = jetstream.consumers.getConsumerFromInfo(info);
    let emptyFetches = 0;
    for (let left = info.num_pending; left > 0;) {
      const asked = Math.min(left, BATCH_SIZE);
      let fetched = 0;
      for await (const message of await consumer.fetch({ max_messages: asked, expires: FETCH_TIMEOUT_MS })) {
        fetched += 1;
        left = message.info.pending;
        yield message;
      }
      emptyFetches = fetched === 0 ? emptyFetches + 1 : 0;
      if (emptyFetches > EMPTY_FETCHES_MAX) throw stuck(store);
      // Expected messages may have been removed.
      if (fetched < asked) left = (await manager.consumers.info(stream, info.name)).num_pending;
    }
  } finally {
    // If this fails, the server removes the consumer by itself.
    manager.consumers.delete(stream, info.name).catch(() => undefined);
  }
}

function parse(message: JsMsg | StoredMsg, revision: number): StoredObject | undefined {
  if (message.data.length === 0) return undefined;
  const stored = message.json<Partial<StoredObject>>();
  const { name, nuid } = stored;
  if (typeof name !== 'string' || typeof nuid !== 'string') return undefined;
  return { size: 0, chunks: 0, digest: '', mtime: '', ...stored, name, nuid, revision };
}

function stuck(store: NatsStore): LitestreamError {
  return new LitestreamError(`the server does not continue the listing of ${store.bucket}`, {
    code: 'TIMEOUT',
    backend: 'nats',
    retryable: true,
  });
}
