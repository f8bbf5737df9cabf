import { loadSdk } from '@litestream/core';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { ObjectInfo, ObjectStore } from '@nats-io/obj';
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node';

import { connect } from './connect.ts';
import type { NatsOptions } from './options.ts';

/** A JetStream answer that takes longer has been lost. */
const REQUEST_TIMEOUT_MS = 20_000;

/** An open object store: a stream `OBJ_<bucket>` that holds objects as chunks and a message of metadata each (ADR-20). */
export interface NatsStore {
  readonly bucket: string;
  readonly stream: string;
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly objects: ObjectStore;
  /** A name no other upload uses, for the chunks of one. */
  nextId(): string;
  /** Headers of a message that replaces all earlier ones of its subject. */
  rollup(): MsgHdrs;
}

/** Connects and opens the bucket. It is not made: its replicas, limits and storage are the operator's to choose. */
export async function openStore(options: NatsOptions): Promise<NatsStore> {
  const [transport, { jetstream }, { Objm }] = await Promise.all([
    loadSdk('@nats-io/transport-node', () => import('@nats-io/transport-node')),
    loadSdk('@nats-io/jetstream', () => import('@nats-io/jetstream')),
    loadSdk('@nats-io/obj', () => import('@nats-io/obj')),
  ]);
  const connection = await connect(transport, options);
  try {
    const js = jetstream(connection, { timeout: REQUEST_TIMEOUT_MS });
    const manager = await js.jetstreamManager();
    const objects = await new Objm(js).open(options.bucket);
    return {
      bucket: options.bucket,
      stream: `OBJ_${options.bucket}`,
      connection,
      jetstream: js,
      manager,
      objects,
      nextId: () => transport.nuid.next(),
      rollup: () => {
        const headers = transport.headers();
        headers.set('Nats-Rollup', 'sub');
        return headers;
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Every object but the deleted ones, whose tombstones stay in the stream. */
export async function listObjects(store: NatsStore): Promise<ObjectInfo[]> {
  const objects = await store.objects.list();
  return objects.filter(({ deleted }) => !deleted);
}

/** What is stored about an object. `undefined` if there is none, or it is deleted. */
export async function findObject(store: NatsStore, name: string): Promise<ObjectInfo | undefined> {
  const info = await store.objects.info(name);
  return info === null || info.deleted ? undefined : info;
}

/** A listing has the headers of an object as plain JSON, other calls as an object with `get`. */
export function headerOf(info: ObjectInfo, name: string): string | undefined {
  const headers: unknown = info.headers;
  if (typeof headers !== 'object' || headers === null) return undefined;
  if ('get' in headers && typeof headers.get === 'function') {
    const value: unknown = headers.get(name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  }
  const value: unknown = (headers as Record<string, unknown>)[name];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' ? first : undefined;
}

/** Subject of an upload's chunks. */
export function chunkSubject(store: NatsStore, id: string): string {
  return `$O.${store.bucket}.C.${id}`;
}
