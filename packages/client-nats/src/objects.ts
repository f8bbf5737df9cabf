/**
 * Objects of a store: what is stored about them, all of them, and how they are removed. The SDK's own calls are not used
 * for this: its `list` names an object twice that is replaced meanwhile, and its `delete` leaves a message for good.
 */
import type { JsMsg, StoredMsg } from '@nats-io/jetstream';

import { LitestreamError } from '@litestream/core';

import { chunkSubject, metaSubject, purge } from './store.ts';
import type { NatsStore } from './store.ts';

const BATCH_SIZE = 500;
const FETCH_TIMEOUT_MS = 1_000;
/** Fetches in a row that bring nothing, though the server says there is more. */
const EMPTY_FETCHES_MAX = 10;
const CONSUMER_IDLE_NS = 60e9;

/** What is stored about an object (ADR-20, in the words of the SDKs of all languages). */
export interface StoredObject {
  readonly name: string;
  /** Names the subject of its chunks. */
  readonly nuid: string;
  readonly size: number;
  readonly chunks: number;
  readonly digest: string;
  readonly mtime: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  /** Deleted by another program, which left this in its place. */
  readonly deleted?: boolean;
  /** Sequence number of the message that says so. */
  readonly revision: number;
}

/** What is stored about an object, deleted or not. `undefined` if there is nothing. */
export async function findObject(store: NatsStore, name: string): Promise<StoredObject | undefined> {
  const message = await store.manager.streams.getMessage(store.stream, { last_by_subj: metaSubject(store, name) });
  return message === null ? undefined : parse(message, message.seq);
}

/** All objects, deleted ones with them, each once. */
export async function listObjects(store: NatsStore): Promise<StoredObject[]> {
  const found = new Map<string, StoredObject>();
  for await (const message of latestMessages(store)) {
    const object = parse(message, message.seq);
    // One that is replaced while it is listed comes again, later.
    if (object !== undefined) found.set(object.name, object);
  }
  return [...found.values()];
}

/** Removes an object, and what a deletion by another program left of it. One that is gone already is no error. */
export async function removeObject(store: NatsStore, name: string): Promise<void> {
  const object = await findObject(store, name);
  if (object === undefined) return;
  // Only this version of it: someone may be storing a new one.
  await purge(store, metaSubject(store, name), object.revision + 1);
  if (object.deleted !== true) await purge(store, chunkSubject(store, object.nuid));
}

/** The last message about each object. Ends when none is left that was there at the beginning. */
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
      // Messages that were to come may have been removed.
      if (fetched < asked) left = (await manager.consumers.info(stream, info.name)).num_pending;
    }
  } finally {
    // The server forgets it by itself if it cannot be told.
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
