/**
 * What people get wrong about a container of Azure, through the real command line, as for S3. Azurite does the refusing
 * wherever it can: tokens that expired or lack a permission, a container that is gone, blobs under a lease.
 */
import {
  ContainerSASPermissions,
  type SASQueryParameters,
  StorageSharedKeyCredential,
  generateBlobSASQueryParameters,
} from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { AzuriteFront } from '../../packages/client-abs/test/azurite-front.ts';
import { Azurite } from '../../packages/client-abs/test/azurite.ts';
import { BadBucket, type Changes } from '../support/bad-bucket.ts';
import { ForwardProxy } from '../support/forward-proxy.ts';

vi.setConfig({ testTimeout: 240_000 });

const WRONG_KEY = Buffer.alloc(64, 'canary').toString('base64');
const PROXY_PASSWORD = 'canary-proxy-password-f00d';
const DAY_MS = 86_400_000;

let azurite: Azurite;
let front: AzuriteFront;
let bucket: BadBucket;
let path: string;
let count = 0;
let secrets: string[];

beforeAll(async () => {
  azurite = await Azurite.start();
});
afterAll(async () => {
  await azurite[Symbol.asyncDispose]();
});
beforeEach(async () => {
  // A request from the daemon of the previous test may still arrive.
  path = `app-${++count}`;
  front = await AzuriteFront.start(azurite);
  secrets = [azurite.accountKey, WRONG_KEY, PROXY_PASSWORD];
  bucket = await BadBucket.open({
    replica: { type: 'abs', bucket: 'litestream', path, endpoint: front.endpoint, ...accountKey() },
    secrets,
    uploads: () => front.calls.filter(({ method, key }) => method === 'PUT' && key.startsWith(`${path}/ltx/0/`)).length,
  });
});
afterEach(async () => {
  await bucket[Symbol.asyncDispose]();
  await front[Symbol.asyncDispose]();
});

/** Of this test. */
async function objects(): Promise<string[]> {
  return (await azurite.names()).filter((name) => name.startsWith(`${path}/`));
}

function accountKey(): Record<string, unknown> {
  return { 'account-name': azurite.accountName, 'account-key': azurite.accountKey };
}

/** Config of a replica that comes with a token instead of the key. */
function token(permissions: string, lifeMs = DAY_MS): Changes {
  const sas: SASQueryParameters = generateBlobSASQueryParameters(
    {
      containerName: 'litestream',
      permissions: ContainerSASPermissions.parse(permissions),
      startsOn: new Date(Date.now() - 2 * DAY_MS),
      expiresOn: new Date(Date.now() + lifeMs),
    },
    new StorageSharedKeyCredential(azurite.accountName, azurite.accountKey),
  );
  secrets.push(sas.signature, encodeURIComponent(sas.signature));
  return { replica: { 'account-name': undefined, 'account-key': undefined, 'sas-token': sas.toString() } };
}

const refusing =
  (operations: readonly string[], status: number, code: string): (() => void) =>
  () => {
    front.fault = ({ operation }) => (operations.includes(operation) ? { kind: 'status', status, code } : undefined);
  };
const mend = (): void => {
  front.fault = () => undefined;
};
const writes = ['PUT', 'PUT block', 'PUT blocklist'];

test.each<[string, () => Changes, RegExp]>([
  ['a wrong key', () => ({ replica: { 'account-key': WRONG_KEY } }), /Check account-name and account-key/],
  ['a token that may not list', () => token('r'), /lack a permission on this container/],
  ['a key without its account', () => ({ replica: { 'account-name': undefined } }), /account-name is required/],
])('%s is refused', async (_, changes, says) => {
  expect(await bucket.refused(changes())).toMatch(says);
});

describe('a container that breaks under replication', () => {
  test.each([
    ['becomes read-only', writes, 403, 'AuthorizationPermissionMismatch', /lack a permission on this container/],
    ['takes the token no more', [...writes, 'GET list'], 403, 'AuthenticationFailed', /SAS token and its expiry/],
    ['throttles', writes, 503, 'ServerBusy', /ServerBusy/],
  ])('%s', async (_, operations, status, code, says) => {
    const broken = bucket.breaksAndMends(refusing(operations, status, code), says, mend);
    await expect(broken).resolves.toBeUndefined();
  });

  test('is gone for a while', async () => {
    // Azurite deletes what a container holds; what is told of it meanwhile is what it tells of a missing one.
    const missing = refusing([...writes, 'GET list'], 404, 'ContainerNotFound');
    const broken = bucket.breaksAndMends(missing, /Create the container/, mend);
    await expect(broken).resolves.toBeUndefined();
  });

  test('lets nothing be deleted: replication goes on, and the log says so', async () => {
    refusing(['DELETE'], 403, 'AuthorizationPermissionMismatch')();
    const goesOn = bucket.keepsGoingWithoutDeletes(/lack a permission on this container/, objects, mend);
    await expect(goesOn).resolves.toBeUndefined();
  });

  test('keeps its blobs for good: replication goes on, and the log says what is left', async () => {
    refusing(['DELETE'], 409, 'BlobImmutableDueToPolicy')();
    const goesOn = bucket.keepsGoingWithoutDeletes(/immutability policy or a legal hold protects/, objects, mend);
    await expect(goesOn).resolves.toBeUndefined();
  });
});

test('a proxy is used, and may want a login', async () => {
  await using proxy = await ForwardProxy.start();
  await expect(bucket.usesProxy(proxy, PROXY_PASSWORD)).resolves.toBeUndefined();
});
