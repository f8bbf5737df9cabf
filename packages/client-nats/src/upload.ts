import { createHash } from 'node:crypto';

import { LitestreamError, raceAbort, untilAborted } from '@litestream/core/client';

import { findObject } from './objects.ts';
import { chunkSubject, metaSubject, purge, urlSafe } from './store.ts';
import type { NatsStore } from './store.ts';

/** The chunk size of all SDKs, unless the server accepts only smaller messages. */
const CHUNK_SIZE = 128 * 1024;
const CHUNKS_IN_FLIGHT = 16;

/** Name, metadata and condition of an upload. */
export interface UploadTarget {
  readonly name: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** Store only if the object does not exist. A deletion mark of another program does not count. */
  readonly isNew?: boolean | undefined;
}

/**
 * Stores an object: its chunks under a new id, then a metadata message that makes them the object, in place of an older one.
 * Up to 16 chunks, 2 MiB, are in flight; the SDK's own `put` waits for each. A failed upload removes its chunks.
 *
 * @returns the digest of the object
 */
export async function upload(
  store: NatsStore,
  { name, headers, isNew = false }: UploadTarget,
  bytes: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<string> {
  const found = await findObject(store, name);
  // Refuse before a chunk is sent. If another writer stores the object after this check, the server refuses the last message.
  if (isNew && found !== undefined && found.deleted !== true) throw taken(name);
  const older = found?.nuid;
  const id = store.nextId();
  const subject = chunkSubject(store, id);
  try {
    const chunkSize = Math.min(CHUNK_SIZE, store.connection.info?.max_payload ?? CHUNK_SIZE);
    const { size, digest, chunks } = await publishChunks(
      store,
      subject,
      rechunk(untilAborted(bytes, signal), chunkSize),
      signal,
    );
    signal.throwIfAborted();
    const meta = {
      name,
      headers,
      options: { max_chunk_size: chunkSize },
      bucket: store.bucket,
      nuid: id,
      size,
      mtime: new Date().toISOString(),
      chunks,
      digest,
    };
    await publishMeta(store, name, JSON.stringify(meta), isNew ? (found?.revision ?? 0) : undefined);
    // The new object is visible. The chunks of its predecessor are no longer used and only take up space.
    if (older !== undefined && older !== id) await purge(store, chunkSubject(store, older)).catch(() => undefined);
    return digest;
  } catch (error) {
    await takeBack(store, name, id).catch(() => undefined);
    throw error;
  }
}

async function publishChunks(
  store: NatsStore,
  subject: string,
  source: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<{ readonly size: number; readonly digest: string; readonly chunks: number }> {
  const hash = createHash('sha256');
  const inFlight = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  let chunks = 0;
  let size = 0;
  for await (const chunk of source) {
    if (failure !== undefined) break;
    hash.update(chunk);
    chunks += 1;
    size += chunk.byteLength;
    const sent: Promise<void> = raceAbort(store.jetstream.publish(subject, chunk), signal)
      .then(
        () => undefined,
        (error: unknown) => {
          failure ??= { error };
        },
      )
      .finally(() => inFlight.delete(sent));
    inFlight.add(sent);
    if (inFlight.size >= CHUNKS_IN_FLIGHT) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
  if (failure !== undefined) throw (failure as { error: unknown }).error;
  return { size, digest: `SHA-256=${urlSafe(hash.digest('base64'))}`, chunks };
}

/** The same bytes in chunks of exactly `size`, except for the last. */
async function* rechunk(source: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let held = 0;
  for await (const chunk of source) {
    for (let from = 0; from < chunk.length;) {
      const part = chunk.subarray(from, from + size - held);
      parts.push(part);
      held += part.length;
      from += part.length;
      if (held < size) continue;
      yield parts.length === 1 ? part : Buffer.concat(parts);
      parts = [];
      held = 0;
    }
  }
  if (held > 0) yield Buffer.concat(parts);
}

/** The message replaces all earlier ones of its subject; with `after`, only if that is still the last one (0: none). */
async function publishMeta(store: NatsStore, name: string, meta: string, after: number | undefined): Promise<void> {
  const condition = after === undefined ? {} : { expect: { lastSubjectSequence: after } };
  await store.jetstream.publish(metaSubject(store, name), meta, { headers: store.rollup(), ...condition });
}

function taken(name: string): LitestreamError {
  return new LitestreamError(`the object exists: ${name}`, { code: 'PRECONDITION_FAILED', backend: 'nats' });
}

/**
 * Removes the chunks of a failed upload, unless they belong to the object: perhaps only the answer to the last message was
 * lost, not the message.
 */
async function takeBack(store: NatsStore, name: string, id: string): Promise<void> {
  await store.link.up();
  const current = await findObject(store, name);
  if (current?.nuid !== id) await purge(store, chunkSubject(store, id));
}
