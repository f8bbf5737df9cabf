/**
 * What people get wrong about a bucket of S3, through the real command line: each is a clear error with the next step, and
 * replication goes on by itself once it is mended. No credential ever shows.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { BadBucket, type Changes, endOf } from '../support/bad-bucket.ts';
import { ForwardProxy, missingProxyEnv } from '../support/forward-proxy.ts';
import { until } from '../support/wait.ts';

// Each case starts a handful of processes, one after the other.
vi.setConfig({ testTimeout: 240_000 });

const CANARIES = ['canary-secret-key-5d1f', 'canary-session-token-77aa', 'canary-proxy-password-90ee'];
const [SECRET = '', TOKEN = '', PROXY_PASSWORD = ''] = CANARIES;

let server: S3TestServer;
let bucket: BadBucket;

const uploads = (): number => server.keys().filter((key) => key.startsWith('app/0000/')).length;

beforeEach(async () => {
  server = await S3TestServer.start();
  server.secretAccessKey = SECRET;
  bucket = await BadBucket.open({
    replica: {
      type: 's3',
      bucket: 'litestream',
      path: 'app',
      endpoint: server.endpoint,
      region: 'us-east-1',
      'access-key-id': server.accessKeyId,
      'secret-access-key': SECRET,
      'force-path-style': true,
    },
    env: { AWS_EC2_METADATA_DISABLED: 'true' },
    secrets: CANARIES,
    uploads,
  });
});
afterEach(async () => {
  await bucket[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

describe('a bucket that cannot be used', () => {
  test.each<[string, Changes, RegExp]>([
    ['a wrong secret', { replica: { 'secret-access-key': TOKEN } }, /SignatureDoesNotMatch.*secret-access-key/],
    ['an expired token', { env: { AWS_SESSION_TOKEN: TOKEN, ...ownKeys() }, replica: noKeys() }, /Expired.*renew/i],
    ['half a pair of keys', { replica: { 'secret-access-key': '' } }, /credentials.*set access-key-id/i],
  ])('%s', async (_, changes, says) => {
    expect(await bucket.refused(changes)).toMatch(says);
  });

  test("a clock that is wrong is put right by the server's own", async () => {
    server.clockOffsetMs = 3 * 3_600_000;
    bucket.insert('three hours late');
    const daemon = await bucket.start(['replicate']);
    await until('the first file', () => uploads() > 0, { failed: endOf(daemon) });
    await bucket.level();
    expect(daemon.exit).toBeUndefined();
  });
});

describe('a bucket that breaks under replication', () => {
  const refusing =
    (operations: readonly string[], status: number, code: string): (() => void) =>
    () => {
      server.fault = ({ operation }) => (operations.includes(operation) ? { kind: 'status', status, code } : undefined);
    };
  const mend = (): void => {
    server.fault = () => undefined;
  };
  const writes = ['PutObject', 'CreateMultipartUpload'];

  test.each([
    ['becomes read-only', writes, 403, 'AccessDenied', /AccessDenied.*lack a permission/],
    ['has its credentials expire', [...writes, 'ListObjectsV2'], 400, 'ExpiredToken', /ExpiredToken.*renew/],
    ['throttles', writes, 503, 'SlowDown', /SlowDown/],
  ])('%s', async (_, operations, status, code, says) => {
    const broken = bucket.breaksAndMends(refusing(operations, status, code), says, mend);
    await expect(broken).resolves.toBeUndefined();
  });

  test('vanishes, and is made again', async () => {
    const held = server.buckets.get('litestream') ?? new Map();
    const broken = bucket.breaksAndMends(
      () => server.buckets.delete('litestream'),
      /NoSuchBucket.*Create the bucket/,
      () => server.buckets.set('litestream', held),
    );
    await expect(broken).resolves.toBeUndefined();
  });

  test.each([
    ['lets nothing be deleted', 'Access Denied', /Access Denied.*lack a permission/],
    ['locks its objects', 'Access Denied because object protected by object lock.', /object lock.*retention protects/],
  ])('%s: replication goes on, and the log says what is left', async (_, reason, says) => {
    server.kept = () => reason;
    const mended = (): void => {
      server.kept = () => undefined;
    };
    const goesOn = bucket.keepsGoingWithoutDeletes(says, () => server.keys(), mended);
    await expect(goesOn).resolves.toBeUndefined();
  });
});

describe('a proxy', () => {
  test('is used, may want a login, and may be away', async () => {
    await using proxy = await ForwardProxy.start();
    await expect(bucket.usesProxy(proxy, PROXY_PASSWORD)).resolves.toBeUndefined();
    expect(await bucket.refused({ env: missingProxyEnv(PROXY_PASSWORD) })).toMatch(/ECONNREFUSED/);
  });
});

function noKeys(): Record<string, unknown> {
  return { 'access-key-id': undefined, 'secret-access-key': undefined };
}

function ownKeys(): Record<string, string> {
  return { AWS_ACCESS_KEY_ID: 'litestreamtest', AWS_SECRET_ACCESS_KEY: SECRET };
}
