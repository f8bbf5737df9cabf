/** What people get wrong about a bucket of Google Cloud Storage, through the real command line, as for S3. */
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { GcsTestServer } from '../../packages/client-gcs/test/gcs-server.ts';
import { BadBucket, type Changes } from '../support/bad-bucket.ts';
import { ForwardProxy } from '../support/forward-proxy.ts';

vi.setConfig({ testTimeout: 240_000 });

const CANARIES = ['canary-subject-token-3b2c', 'canary-proxy-password-41d0'];
const [SUBJECT = '', PROXY_PASSWORD = ''] = CANARIES;

let server: GcsTestServer;
let bucket: BadBucket;

beforeEach(async () => {
  server = await GcsTestServer.start();
  bucket = await BadBucket.open({
    replica: { type: 'gs', bucket: 'litestream', path: 'app' },
    env: { STORAGE_EMULATOR_HOST: new URL(server.endpoint).host },
    secrets: CANARIES,
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

describe('a bucket that cannot be used', () => {
  test.each<[string, Changes, RegExp]>([
    ['a missing bucket', { replica: { bucket: 'nowhere' } }, /bucket does not exist.*Create the bucket/],
    ['no server', { env: { STORAGE_EMULATOR_HOST: '127.0.0.1:1' } }, /ECONNREFUSED.*Check the endpoint/],
    [
      'a file of keys that is not there',
      { env: { STORAGE_EMULATOR_HOST: '', GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json' } },
      /\/nowhere\/key\.json.*GOOGLE_APPLICATION_CREDENTIALS/,
    ],
  ])('%s', async (_, changes, says) => {
    expect(await bucket.refused(changes)).toMatch(says);
  });

  test.each([
    [401, 'Invalid Credentials', /Invalid Credentials.*Check the credentials/],
    [403, 'someone does not have storage.objects.list access', /storage\.objects\.list.*permissions on this bucket/],
    [307, 'Temporary Redirect', /redirects elsewhere: check the endpoint/],
  ])('status %i', async (status, message, says) => {
    refusing(['list'], status, message)();
    expect(await bucket.refused()).toMatch(says);
  });

  test.each([
    ['revoked', 'Token has been expired or revoked.'],
    ['made by a machine whose clock is wrong', 'Invalid JWT: Token must be a short-lived token (60 minutes)'],
  ])('credentials that are %s', async (_, description) => {
    const exchange = createServer((request, response) => {
      request.resume();
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: 'invalid_grant', error_description: description }));
    });
    await new Promise<void>((resolve) => exchange.listen(0, '127.0.0.1', resolve));
    try {
      const subject = join(bucket.folder, 'subject.txt');
      const credentials = join(bucket.folder, 'credentials.json');
      await writeFile(subject, SUBJECT);
      const { port } = exchange.address() as AddressInfo;
      await writeFile(
        credentials,
        JSON.stringify({
          type: 'external_account',
          audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          token_url: `http://127.0.0.1:${port}/v1/token`,
          credential_source: { file: subject },
        }),
      );
      const env = { STORAGE_EMULATOR_HOST: '', GOOGLE_APPLICATION_CREDENTIALS: credentials };
      expect(await bucket.refused({ env })).toMatch(/invalid_grant.*revoked or expired, or the clock/s);
    } finally {
      exchange.closeAllConnections();
      await new Promise((resolve) => exchange.close(resolve));
    }
  });
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
    const goesOn = bucket.keepsGoingWithoutDeletes(says, () => server.names().length, mended);
    await expect(goesOn).resolves.toBeUndefined();
  });
});

test('a proxy is used, and may want a login', async () => {
  await using proxy = await ForwardProxy.start();
  await expect(bucket.usesProxy(proxy, PROXY_PASSWORD)).resolves.toBeUndefined();
});
