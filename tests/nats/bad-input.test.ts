/** What people get wrong about a NATS server, through the real command line, as for S3. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { createBucket } from '../services/nats.ts';
import { BadBucket } from '../support/bad-bucket.ts';
import { type NatsServer, clientOf, findNatsServer, startNats } from './server.ts';

vi.setConfig({ testTimeout: 240_000 });

const found = findNatsServer();
const program = 'program' in found ? found.program : '';
const CANARIES = ['canary-password-6d0a', 'canary-wrong-password-93f4'];
const [PASSWORD = '', WRONG = ''] = CANARIES;
const USER = 'litestream';

describe.skipIf('missing' in found)('a NATS server', () => {
  let server: NatsServer;
  let bucket: BadBucket;
  const files = async (): Promise<string[]> => {
    await using client = await clientOf(server, { username: USER, password: PASSWORD });
    return (await Array.fromAsync(client.ltxFiles(0))).map(({ minTxid, maxTxid }) => `${minTxid}-${maxTxid}`);
  };

  beforeEach(async () => {
    server = await startNats(program, () => ({ authorization: { user: USER, password: PASSWORD } }));
    await createBucket({ servers: `127.0.0.1:${server.port}`, user: USER, pass: PASSWORD }, 'app');
    const url = `nats://127.0.0.1:${server.port}/app`;
    const replica = { type: 'nats', url, username: USER, password: PASSWORD };
    bucket = await BadBucket.open({ replica, secrets: CANARIES, uploads: async () => (await files()).length });
  });
  afterEach(async () => {
    await bucket[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  /** Starts it again with other rights or another password. */
  const becomes = (user: Record<string, unknown>) => async (): Promise<void> => {
    await server.stop();
    const settings = {
      host: '127.0.0.1',
      port: server.port,
      jetstream: { store_dir: join(server.folder, 'jetstream') },
      authorization: { users: [{ user: USER, password: PASSWORD, ...user }] },
    };
    writeFileSync(join(server.folder, 'nats.conf'), JSON.stringify(settings));
    await server.start();
  };

  test('takes the password no more', async () => {
    const broken = bucket.breaksAndMends(becomes({ password: WRONG }), /Check username and password/, becomes({}));
    await expect(broken).resolves.toBeUndefined();
  });

  test('lets nothing be deleted: replication goes on, and the log says so', async () => {
    await becomes({ permissions: { publish: { deny: ['$JS.API.STREAM.PURGE.>'] } } })();
    const goesOn = bucket.keepsGoingWithoutDeletes(/Let the user publish/, files, becomes({}));
    await expect(goesOn).resolves.toBeUndefined();
  });
});
