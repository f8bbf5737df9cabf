/** The NATS client on a real server: the contract, a server that restarts, and calls that are given up. */
import { randomBytes } from 'node:crypto';

import { type Body, guardClient } from '@litestream/core';
import { NatsReplicaClient } from '@litestream/client-nats';
import { conformance } from '@litestream/core/conformance';
import { afterAll, beforeAll, describe, expect, it, test, vi } from 'vitest';

import { createBucket } from '../services/nats.ts';
import { until } from '../support/wait.ts';
import { type NatsServer, clientOf, findNatsServer, leftIn, startNats } from './server.ts';

const found = findNatsServer();
const program = 'program' in found ? found.program : '';
const file = (txid: bigint): { level: number; minTxid: bigint; maxTxid: bigint; timestamp: Date } => ({
  level: 0,
  minTxid: txid,
  maxTxid: txid,
  timestamp: new Date('2026-11-24T01:02:03.650Z'),
});

describe.skipIf('missing' in found)('nats-server', () => {
  let server: NatsServer;
  let login: { servers: string };
  beforeAll(async () => {
    server = await startNats(program);
    login = { servers: `127.0.0.1:${server.port}` };
    await createBucket(login, 'app');
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('connects when it is first needed, once, and closes the connection on dispose', async () => {
    // The server may not have noticed yet that the clients that made the bucket have disconnected.
    await until('no connection', async () => (await server.connectionCount()) === 0);
    const client = await clientOf(server);
    expect(await server.connectionCount()).toBe(0);
    await Promise.all([client.init(), client.init(), Array.fromAsync(client.ltxFiles(0))]);
    expect(await server.connectionCount()).toBe(1);
    await client[Symbol.asyncDispose]();
    await client[Symbol.asyncDispose]();
    await vi.waitFor(async () => expect(await server.connectionCount()).toBe(0), { timeout: 60_000 });
  });

  test('a write that is aborted takes its chunks back', async () => {
    await using client = await clientOf(server);
    await client.init();
    const before = await leftIn(login, 'app');
    const controller = new AbortController();
    const body: Body = {
      open: async function* () {
        for (let count = 0; ; count++) {
          if (count === 30) controller.abort(new Error('enough'));
          yield Buffer.alloc(100_000);
        }
      },
    };
    const write = client.writeLtxFile(file(1n), body, { signal: controller.signal });
    await expect(write).rejects.toThrow('enough');
    expect(await Array.fromAsync(client.ltxFiles(0))).toEqual([]);
    await vi.waitFor(async () => expect(await leftIn(login, 'app')).toEqual(before), { timeout: 60_000 });
  });

  test('a reader that leaves early, or is aborted, leaves no consumer', async () => {
    await using client = await clientOf(server);
    await client.writeLtxFile(file(2n), bodyOf(randomBytes(9_000_000)));
    for await (const chunk of await client.openLtxFile(file(2n))) if (chunk.length > 0) break;
    const controller = new AbortController();
    const reading = Array.fromAsync(await client.openLtxFile(file(2n), { signal: controller.signal }));
    controller.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    await vi.waitFor(async () => expect((await leftIn(login, 'app')).consumers).toBe(0), { timeout: 60_000 });
    await client.deleteAll();
  });

  test('a server that restarts: what was written is there, and calls meanwhile wait or are tried again', async () => {
    await using client = await clientOf(server, { 'reconnect-wait': '50ms' });
    const bytes = randomBytes(3_000_000);
    await client.writeLtxFile(file(3n), bodyOf(bytes));
    await server.stop();
    const waiting = client.writeLtxFile(file(4n), bodyOf(Buffer.from('meanwhile')));
    await server.start();
    await waiting;
    expect((await Array.fromAsync(client.ltxFiles(0))).map(({ minTxid }) => minTxid)).toEqual([3n, 4n]);
    expect(Buffer.concat(await Array.fromAsync(await client.openLtxFile(file(3n)))).equals(bytes)).toBe(true);
    expect(await server.connectionCount()).toBe(1);
    await client.deleteAll();
  });

  test('a server that restarts in the middle of an upload: the retry stores the file, and nothing is left over', async () => {
    await using client = await clientOf(server, { 'reconnect-wait': '50ms' });
    await client.init();
    const before = await leftIn(login, 'app');
    const bytes = randomBytes(4_000_000);
    let opened = 0;
    const body: Body = {
      size: bytes.length,
      open: async function* () {
        opened += 1;
        for (let from = 0; from < bytes.length; from += 100_000) {
          if (opened === 1 && from === 2_000_000) {
            await server.stop();
            await server.start();
          }
          yield bytes.subarray(from, from + 100_000);
        }
      },
    };
    await client.writeLtxFile(file(5n), body);
    expect(Buffer.concat(await Array.fromAsync(await client.openLtxFile(file(5n)))).equals(bytes)).toBe(true);
    await client.deleteAll();
    // A deleted object leaves the message that says so.
    await vi.waitFor(
      async () => expect((await leftIn(login, 'app')).messages).toBeLessThanOrEqual(before.messages + 1),
      { timeout: 60_000 },
    );
  });

  test('the next call connects again after the connection was abandoned', async () => {
    const options = { url: login.servers, bucket: 'app', maxReconnects: 1, reconnectWaitMs: 20 };
    await using client = guardClient(new NatsReplicaClient(options));
    await client.init();
    await server.stop();
    await expect(Array.fromAsync(client.ltxFiles(0))).rejects.toMatchObject({ code: 'NETWORK' });
    await server.start();
    expect(await Array.fromAsync(client.ltxFiles(0))).toEqual([]);
  });

  conformance({
    name: 'nats',
    runCount: 214,
    describe,
    it,
    // The protocol has no pages, and every listing is one of the whole bucket.
    fileCount: 150,
    client: async (place) => {
      const bucket = Buffer.from(place).toString('hex').slice(-60);
      await createBucket(login, bucket);
      return new NatsReplicaClient({ url: login.servers, bucket });
    },
    missingBucket: () => new NatsReplicaClient({ url: login.servers, bucket: 'nowhere' }),
    unreachable: () => new NatsReplicaClient({ url: 'nats://127.0.0.1:1', bucket: 'app', maxReconnects: 0 }),
  });
});

function bodyOf(bytes: Buffer): Body {
  return {
    size: bytes.length,
    open: async function* () {
      for (let from = 0; from < bytes.length; from += 100_000) yield bytes.subarray(from, from + 100_000);
    },
  };
}
