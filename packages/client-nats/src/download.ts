import { LitestreamError } from '@litestream/core/client';

import { findObject } from './objects.ts';
import type { StoredObject } from './objects.ts';
import { chunkSubject } from './store.ts';
import type { NatsStore } from './store.ts';

/** Limit of one fetch, and of the memory in use. The SDK's own `get` holds all bytes that the reader has not taken yet. */
const BYTES_PER_FETCH = 4 * 1024 * 1024;
const CHUNKS_PER_FETCH_MAX = 1024;
const FETCH_TIMEOUT_MS = 2_000;
const EMPTY_FETCHES_MAX = 5;
const CONSUMER_IDLE_NS = 60e9;

/** The first `size` bytes of an object. Rejects with `OBJECT_CHANGED` if it is replaced or deleted meanwhile. */
export async function* download(store: NatsStore, object: StoredObject, size: number): AsyncGenerator<Uint8Array> {
  const end = Math.min(size, object.size);
  if (end === 0) return;
  const { stream, manager, jetstream } = store;
  const info = await manager.consumers.add(stream, {
    filter_subject: chunkSubject(store, object.nuid),
    deliver_policy: 'all',
    ack_policy: 'none',
    mem_storage: true,
    inactive_threshold: CONSUMER_IDLE_NS,
  });
  try {
    const consumer = jetstream.consumers.getConsumerFromInfo(info);
    // Litestream (Go) cuts objects as its reader returns bytes, so chunks may have any size.
    const perFetch = Math.ceil(BYTES_PER_FETCH / Math.max(object.size / object.chunks, 1));
    let position = 0;
    let emptyFetches = 0;
    for (let left = object.chunks; left > 0 && position < end;) {
      const asked = Math.min(left, perFetch, CHUNKS_PER_FETCH_MAX);
      let fetched = 0;
      for await (const message of await consumer.fetch({ max_messages: asked, expires: FETCH_TIMEOUT_MS })) {
        // No chunk may be missing in the middle.
        if (message.info.deliverySequence !== object.chunks - left + fetched + 1) throw lost(object, position);
        fetched += 1;
        const part = message.data.subarray(0, end - position);
        position += part.byteLength;
        if (part.byteLength > 0) yield part;
        if (position >= end) return;
      }
      left -= fetched;
      emptyFetches = fetched === 0 ? emptyFetches + 1 : 0;
      if (fetched < asked) await expectUnchanged(store, object);
      if (emptyFetches >= EMPTY_FETCHES_MAX) throw lost(object, position);
    }
    if (position < end) throw lost(object, position);
  } finally {
    // If this fails, the server removes the consumer by itself.
    manager.consumers.delete(stream, info.name).catch(() => undefined);
  }
}

async function expectUnchanged(store: NatsStore, object: StoredObject): Promise<void> {
  const current = await findObject(store, object.name);
  if (current?.nuid === object.nuid && current.deleted !== true) return;
  throw new LitestreamError('the object was replaced or deleted while it was read', {
    code: 'OBJECT_CHANGED',
    backend: 'nats',
    object: object.name,
    retryable: true,
  });
}

function lost({ name, size }: StoredObject, position: number): LitestreamError {
  return new LitestreamError(`the server has only ${position} of ${size} bytes of the object`, {
    code: 'NETWORK',
    backend: 'nats',
    object: name,
    retryable: true,
  });
}
