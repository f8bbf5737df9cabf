import { loadSdk } from '@litestream/core/client';
import type { Logger } from '@litestream/core/client';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node';

import { warnInClear } from './clear-text.ts';
import { connect } from './connect.ts';
import { Link } from './link.ts';
import type { NatsOptions } from './options.ts';

/** A JetStream answer that takes longer counts as lost. */
const REQUEST_TIMEOUT_MS = 20_000;

/** An open object store: a stream `OBJ_<bucket>` with chunks and a metadata message for each object (ADR-20). */
export interface NatsStore {
  readonly bucket: string;
  readonly stream: string;
  readonly connection: NatsConnection;
  readonly link: Link;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  /** A unique name for the chunks of an upload. */
  nextId(): string;
  /** Headers of a message that replaces all earlier ones of its subject. */
  rollup(): MsgHdrs;
}

/** Connects and checks that the bucket exists. Does not create it: the operator chooses its replicas, limits and storage. */
export async function openStore(options: NatsOptions, logger: Logger): Promise<NatsStore> {
  const [transport, { jetstream }] = await Promise.all([
    loadSdk('@nats-io/transport-node', () => import('@nats-io/transport-node')),
    loadSdk('@nats-io/jetstream', () => import('@nats-io/jetstream')),
  ]);
  const connection = await connect(transport, options);
  warnInClear(connection, options, logger);
  try {
    const js = jetstream(connection, { timeout: REQUEST_TIMEOUT_MS });
    const manager = await js.jetstreamManager();
    const stream = `OBJ_${options.bucket}`;
    await manager.streams.info(stream);
    return {
      bucket: options.bucket,
      stream,
      connection,
      link: new Link(connection),
      jetstream: js,
      manager,
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

/** Subject of an object's chunks. */
export function chunkSubject(store: NatsStore, id: string): string {
  return `$O.${store.bucket}.C.${id}`;
}

/** Subject of an object's metadata; with the name `>`, of all objects. */
export function metaSubject(store: NatsStore, name: string): string {
  return `$O.${store.bucket}.M.${name === '>' ? name : urlSafe(Buffer.from(name).toString('base64'))}`;
}

/** Removes the messages of a subject; with `before`, only those with a lower sequence number. */
export async function purge(store: NatsStore, filter: string, before?: number): Promise<void> {
  await store.manager.streams.purge(store.stream, before === undefined ? { filter } : { filter, seq: before });
}

export function urlSafe(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_');
}
