/** What people get wrong about a bucket of Alibaba Cloud OSS, through the real command line, as for S3. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { OssTestServer } from '../../packages/client-oss/test/oss-server.ts';
import { BadBucket, type Changes } from '../support/bad-bucket.ts';
import { ForwardProxy } from '../support/forward-proxy.ts';

vi.setConfig({ testTimeout: 240_000 });

const CANARIES = ['canary-session-token-90fa', 'canary-proxy-password-c3d4'];
const [TOKEN = '', PROXY_PASSWORD = ''] = CANARIES;

let server: OssTestServer;
let bucket: BadBucket;

beforeEach(async () => {
  server = await OssTestServer.start();
  bucket = await BadBucket.open({
    replica: {
      type: 'oss',
      bucket: 'litestream',
      path: 'app',
      endpoint: server.endpoint,
      region: server.region,
      'access-key-id': server.accessKeyId,
      'secret-access-key': server.accessKeySecret,
    },
    secrets: [...CANARIES, server.accessKeySecret],
    uploads: () => server.keys().filter((key) => key.startsWith('app/0000/')).length,
  });
});
afterEach(async () => {
  await bucket[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const writes = ['PutObject', 'InitiateMultipartUpload'];
const refusing =
  (operations: readonly string[], status: number, code: string, message?: string): (() => void) =>
  () => {
    const fault = { kind: 'status', status, code, ...(message === undefined ? {} : { message }) } as const;
    server.fault = ({ operation }) => (operations.includes(operation) ? fault : undefined);
  };
const mend = (): void => {
  server.fault = () => undefined;
};

test.each<[string, Changes, RegExp]>([
  ['an unknown key', { replica: { 'access-key-id': 'nobody' } }, /Access Key Id.*Check access-key-id/],
  ['a wrong token', { replica: { 'session-token': TOKEN } }, /security token.*session-token/],
])('%s is refused', async (_, changes, says) => {
  expect(await bucket.refused(changes)).toMatch(says);
});

describe('a bucket that breaks under replication', () => {
  test.each([
    ['becomes read-only', writes, 403, 'AccessDenied', /AccessDenied.*Let the key list, read, write and delete/],
    ['has its token expire', [...writes, 'ListObjectsV2'], 403, 'SecurityTokenExpired', /expired: get new ones/],
    ['throttles', writes, 503, 'SlowDown', /SlowDown/],
  ])('%s', async (_, operations, status, code, says) => {
    const broken = bucket.breaksAndMends(refusing(operations, status, code), says, mend);
    await expect(broken).resolves.toBeUndefined();
  });

  test('vanishes, and is made again', async () => {
    const held = server.buckets.get('litestream') ?? new Map();
    const broken = bucket.breaksAndMends(
      () => server.buckets.delete('litestream'),
      /bucket does not exist.*Create the bucket/,
      () => server.buckets.set('litestream', held),
    );
    await expect(broken).resolves.toBeUndefined();
  });

  test('lets nothing be deleted: replication goes on, and the log says so', async () => {
    refusing(['DeleteMultipleObjects', 'DeleteObject'], 403, 'AccessDenied')();
    const goesOn = bucket.keepsGoingWithoutDeletes(/AccessDenied.*Let the key/, () => server.keys(), mend);
    await expect(goesOn).resolves.toBeUndefined();
  });

  test('retains its objects: replication goes on, and the log says what is left', async () => {
    server.kept = () => true;
    const mended = (): void => {
      server.kept = () => false;
    };
    const goesOn = bucket.keepsGoingWithoutDeletes(
      /objects could not be deleted.*a retention policy may protect the objects/,
      () => server.keys(),
      mended,
    );
    await expect(goesOn).resolves.toBeUndefined();
  });
});

test('a proxy is used, and may want a login', async () => {
  await using proxy = await ForwardProxy.start();
  // With an IP address, the SDK names the public host in its requests, which Node refuses to send to a proxy.
  const replica = { endpoint: server.endpoint.replace('127.0.0.1', 'localhost') };
  await expect(bucket.usesProxy(proxy, PROXY_PASSWORD, { replica })).resolves.toBeUndefined();
});
