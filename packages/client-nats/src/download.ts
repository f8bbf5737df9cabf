import { LitestreamError } from '@litestream/core';
import type { ObjectInfo } from '@nats-io/obj';

import { chunkSubject, findObject } from './store.ts';
import type { NatsStore } from './store.ts';

/** Chunks asked for at a time: 4 MiB, which is all that is held. The SDK's own `get` holds what the reader leaves. */
const CHUNKS_PER_FETCH = 32;
const FETCH_TIMEOUT_MS = 2_000;
const EMPTY_FETCHES_MAX = 5;

/**
 * Bytes of an object from `offset`, `size` of them. Chunks may be of any size, so those before the offset are read and
 * dropped. Rejects with `OBJECT_CHANGED` if the object is replaced or deleted meanwhile.
 */
export async function* download(
  store: NatsStore,
  info: ObjectInfo,
  offset: number,
  size: number,
): AsyncGenerator<Uint8Array> {
  const end = Math.min(offset + size, info.size);
  if (offset >= end) return;
  const consumer = await store.jetstream.consumers.get(store.stream, {
    filter_subjects: chunkSubject(store, info.nuid),
    inactive_threshold: 60_000,
  });
  try {
    let position = 0;
    let emptyFetches = 0;
    for (let left = info.chunks; left > 0 && position < end;) {
      let fetched = 0;
      const batch = { max_messages: Math.min(left, CHUNKS_PER_FETCH), expires: FETCH_TIMEOUT_MS };
      for await (const { data } of await consumer.fetch(batch)) {
        fetched += 1;
        const part = data.subarray(Math.max(offset - position, 0), Math.max(end - position, 0));
        position += data.byteLength;
        if (part.byteLength > 0) yield part;
        if (position >= end) return;
      }
      left -= fetched;
      emptyFetches = fetched === 0 ? emptyFetches + 1 : 0;
      if (fetched < batch.max_messages) await expectUnchanged(store, info, emptyFetches);
    }
    if (position < end) throw lost(info.name, position, info.size);
  } finally {
    // The server forgets the consumer by itself if it cannot be told.
    consumer.delete().catch(() => undefined);
  }
}

async function expectUnchanged(store: NatsStore, info: ObjectInfo, emptyFetches: number): Promise<void> {
  const current = await findObject(store, info.name);
  if (current?.nuid !== info.nuid) {
    throw new LitestreamError('the object was replaced or deleted while it was read', {
      code: 'OBJECT_CHANGED',
      backend: 'nats',
      object: info.name,
      retryable: true,
    });
  }
  if (emptyFetches >= EMPTY_FETCHES_MAX) throw lost(info.name, 0, info.size);
}

function lost(object: string, position: number, size: number): LitestreamError {
  return new LitestreamError(`the server has only ${position} of ${size} bytes of the object`, {
    code: 'NETWORK',
    backend: 'nats',
    object,
    retryable: true,
  });
}
