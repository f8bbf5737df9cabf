/** What people get wrong about a bucket of Google Cloud Storage, through the real command line, as for S3. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { GcsTestServer } from '../../packages/client-gcs/test/gcs-server.ts';
import { BadBucket } from '../support/bad-bucket.ts';
import { ForwardProxy } from '../support/forward-proxy.ts';

vi.setConfig({ testTimeout: 240_000 });

const PROXY_PASSWORD = 'canary-proxy-password-41d0';

let server: GcsTestServer;
let bucket: BadBucket;

beforeEach(async () => {
  server = await GcsTestServer.start();
  bucket = await BadBucket.open({
    replica: { type: 'gs', bucket: 'litestream', path: 'app' },
    env: { STORAGE_EMULATOR_HOST: new URL(server.endpoint).host },
    secrets: [PROXY_PASSWORD],
    uploads: () => server.names().filter((name) => name.startsWith('app/ltx/0/')).length,
  });
});
afterEach(async () => {
  await bucket[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const refusing =
  (operations: readonly string[], status: number, message: string): (() => void) =>
  () => {
    server.fault = ({ operation }) =>
      operations.includes(operation) ? { kind: 'status', status, code: 'refused', message } : undefined;
  };
const mend = (): void => {
  server.fault = () => undefined;
};
const writes = ['multipart', 'session'];

test('a file of keys that is not there is named', async () => {
  const env = { STORAGE_EMULATOR_HOST: '', GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json' };
  expect(await bucket.refused({ env })).toMatch(/\/nowhere\/key\.json.*GOOGLE_APPLICATION_CREDENTIALS/);
});

describe('a bucket that breaks under replication', () => {
  test.each([
    [
      'becomes read-only',
      writes,
      403,
      'someone does not have storage.objects.create access',
      /create access.*permissions/,
    ],
    ['takes the token no more', [...writes, 'list'], 401, 'Invalid Credentials', /Invalid Credentials.*Check the cred/],
    ['throttles', writes, 429, 'rateLimitExceeded', /rateLimitExceeded/],
  ])('%s', async (_, operations, status, message, says) => {
    const broken = bucket.breaksAndMends(refusing(operations, status, message), says, mend);
    await expect(broken).resolves.toBeUndefined();
  });

  test('vanishes, and is made again', async () => {
    const there = (hasBucket: boolean) => (): void => {
      server.hasBucket = hasBucket;
    };
    const broken = bucket.breaksAndMends(there(false), /does not exist.*Create the bucket/, there(true));
    await expect(broken).resolves.toBeUndefined();
  });

  test.each([
    ['lets nothing be deleted', 'someone does not have storage.objects.delete access', /delete access.*permissions/],
    ['retains its objects', "Object is subject to bucket's retention policy", /retention policy or a hold protects/],
  ])('%s: replication goes on, and the log says what is left', async (_, reason, says) => {
    server.kept = () => reason;
    const mended = (): void => {
      server.kept = () => undefined;
    };
    const goesOn = bucket.keepsGoingWithoutDeletes(says, () => server.names(), mended);
    await expect(goesOn).resolves.toBeUndefined();
  });
});

test('a proxy is used, and may want a login', async () => {
  await using proxy = await ForwardProxy.start();
  await expect(bucket.usesProxy(proxy, PROXY_PASSWORD)).resolves.toBeUndefined();
});
