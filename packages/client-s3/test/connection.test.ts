/** How the client reaches and addresses a server: certificates, signed payloads, digests, access points. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import { httpServer } from '../../../tests/support/http-server.ts';
import { S3ReplicaClient } from '../src/index.ts';
import { S3TestServer } from './s3-server.ts';
import { MIB, clientFor, file, randomBody } from './support.ts';
import { startTlsFront } from './tls-front.ts';

const timestamp = new Date('2026-11-24T01:02:03.650Z');
let server: S3TestServer;

beforeEach(async () => {
  server = await S3TestServer.start();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

test('a certificate nobody trusts is refused for good, and taken with skip-verify', async () => {
  await using front = await startTlsFront(server.endpoint);
  await using careful = clientFor(server, { endpoint: front.endpoint });
  const write = careful.writeLtxFile({ ...file(1n), timestamp }, randomBody(10).body);
  await expect(write).rejects.toMatchObject({
    code: 'NETWORK',
    retryable: false,
    hint: expect.stringContaining('skip-verify') as string,
  });
  await using careless = clientFor(server, { endpoint: front.endpoint, skipVerify: true });
  await careless.writeLtxFile({ ...file(1n), timestamp }, randomBody(10).body);
  expect(server.keys()).toHaveLength(1);
});

test.each([
  [undefined, /^[0-9a-f]{64}$/],
  [true, /^[0-9a-f]{64}$/],
  [false, /^UNSIGNED-PAYLOAD$/],
])('sign-payload %s', async (signPayload, hash) => {
  await using client = clientFor(server, { signPayload });
  await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(10).body);
  expect(String(server.calls.at(-1)?.headers['x-amz-content-sha256'])).toMatch(hash);
});

test('require-content-md5 false: a batch is deleted without the digest', async () => {
  await using client = clientFor(server, { requireContentMd5: false });
  // The server demands one, as AWS does: what counts here is what is sent.
  await expect(client.deleteLtxFiles([file(1n)])).rejects.toMatchObject({ backend: 's3' });
  expect(server.calls.at(-1)?.operation).toBe('DeleteObjects');
  expect(server.calls.at(-1)?.headers['content-md5']).toBeUndefined();
  await using strict = clientFor(server);
  await strict.deleteLtxFiles([file(1n)]);
  expect(server.calls.at(-1)?.headers['content-md5']).toMatch(/^.{22}==$/);
});

describe('put-object-content-md5', () => {
  /** What arrived: each call, and whether it had the digest. The server refuses wrong ones. */
  const uploads = (): string[] =>
    server.calls
      .filter(({ method }) => method !== 'GET')
      .map(({ operation, headers }) => `${operation}${headers['content-md5'] === undefined ? '' : ' with digest'}`);
  const sizes = [
    ['below a part', 10, ['PutObject with digest']],
    ['of exactly a part', 5 * MIB, ['PutObject with digest']],
    ['above a part', 5 * MIB + 1, ['CreateMultipartUpload', 'UploadPart', 'UploadPart', 'CompleteMultipartUpload']],
  ] as const;

  test.each(sizes)('an object %s', async (_, size, expected) => {
    await using client = clientFor(server, { putObjectContentMd5: true });
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(size).body);
    expect(uploads()).toEqual(expected);
  });

  test('a small object of unknown size, and a lease', async () => {
    await using client = clientFor(server, { putObjectContentMd5: true });
    const { body } = randomBody(10);
    await client.writeLtxFile({ ...file(1n), timestamp }, { open: () => body.open() });
    await client.objects.put('lock.json', Buffer.from('{}'), { ifNoneMatch: '*' });
    expect(uploads()).toEqual(['PutObject with digest', 'PutObject with digest']);
  });

  test('by default nothing carries the digest', async () => {
    await using client = clientFor(server);
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(10).body);
    expect(uploads()).toEqual(['PutObject']);
  });
});

test('a server that AWS_ENDPOINT_URL names and that does not tell its region: the error says what to set', async () => {
  server.region = 'eu-central-1';
  vi.stubEnv('AWS_ENDPOINT_URL', server.endpoint);
  onTestFinished(() => void vi.unstubAllEnvs());
  await using asking = clientFor(server, { endpoint: undefined });
  await expect(asking.init()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('the region of bucket litestream') as string,
    hint: expect.stringContaining('Set region') as string,
  });
  await using told = clientFor(server, { endpoint: undefined, region: 'eu-central-1' });
  await told.writeLtxFile({ ...file(1n), timestamp }, randomBody(10).body);
  expect(server.keys()).toHaveLength(1);
});

test('an access point has a host of its own, in the region its name tells', async () => {
  const hosts: string[] = [];
  const proxy = httpServer().on('connect', (request, socket) => {
    hosts.push(request.url ?? '');
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
  vi.stubEnv('NO_PROXY', '');
  vi.stubEnv('no_proxy', '');
  try {
    const arn = 'arn:aws:s3:us-east-2:123456789012:accesspoint/name';
    const keys = { accessKeyId: 'a', secretAccessKey: 's' };
    await using client = new S3ReplicaClient({ bucket: arn, region: 'us-east-2', path: 'app', ...keys }, {});
    await expect(client.openLtxFile(file(1n))).rejects.toMatchObject({ backend: 's3' });
    expect(new Set(hosts)).toEqual(new Set(['name-123456789012.s3-accesspoint.us-east-2.amazonaws.com:443']));
  } finally {
    vi.unstubAllEnvs();
    proxy.close();
    await once(proxy, 'close');
  }
});
