import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';

import { guardClient, type Body } from '@litestream/core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { pause, until } from '../../../tests/support/wait.ts';
import { crc64 } from './crc64-ecma.ts';
import { OssTestServer } from './oss-server.ts';
import { clientFor } from './support.ts';

const MIB = 1024 * 1024;
const timestamp = new Date('2026-11-24T01:02:03.650Z');
const file = (txid: bigint, level = 0): { level: number; minTxid: bigint; maxTxid: bigint } => ({
  level,
  minTxid: txid,
  maxTxid: txid,
});
const bodyOf = (bytes: Buffer, size: number | undefined = bytes.byteLength): Body => ({
  size,
  async *open() {
    for (let start = 0; start < bytes.byteLength; start += 65_536) yield bytes.subarray(start, start + 65_536);
    await Promise.resolve();
  },
});
const readAll = async (source: AsyncIterable<Uint8Array>): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(source));
const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

let server: OssTestServer;
beforeEach(async () => {
  server = await OssTestServer.start();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

test('the checksum of the test server is the one the service documents', () => {
  expect(crc64(Buffer.from('123456789')).toString(16)).toBe('995dc9bbdf1939fa');
});

test.each([1, 4] as const)('signatures of version %i, over every operation', async (signatureVersion) => {
  await using client = clientFor(server, { path: 'a b/ü+%&?#', signatureVersion });
  const bytes = randomBytes(6 * MIB);
  await client.writeLtxFile({ ...file(1n), timestamp }, bodyOf(bytes));
  await client.writeLtxFile({ ...file(2n), timestamp }, bodyOf(bytes.subarray(0, 1000)));
  const listed = await Array.fromAsync(client.ltxFiles(0, { seek: 1n, useMetadata: true }));
  expect(listed.map(({ size }) => size)).toEqual([6 * MIB, 1000]);
  expect((await readAll(await client.openLtxFile(file(1n), { offset: MIB }))).equals(bytes.subarray(MIB))).toBe(true);
  await client.deleteLtxFiles(listed);
  expect(server.keys()).toEqual([]);
  const operations = new Set(server.calls.map(({ operation }) => operation));
  expect([...operations].sort()).toEqual([
    'CompleteMultipartUpload',
    'DeleteMultipleObjects',
    'GetObject',
    'HeadObject',
    'InitiateMultipartUpload',
    'ListObjectsV2',
    'PutObject',
    'UploadPart',
  ]);
  const scheme = signatureVersion === 1 ? /^OSS / : /^OSS4-HMAC-SHA256 /;
  for (const call of server.calls) expect(call.headers.authorization).toMatch(scheme);
});

test('a file lies where Go puts it, with the time in its metadata', async () => {
  await using client = clientFor(server);
  await client.writeLtxFile({ ...file(0x1fn, 9), timestamp }, bodyOf(randomBytes(1000)));
  const key = 'app/0009/000000000000001f-000000000000001f.ltx';
  expect(server.keys()).toEqual([key]);
  expect(server.buckets.get('litestream')?.get(key)?.headers).toEqual({
    'content-type': 'application/octet-stream',
    'x-oss-meta-litestream-timestamp': '2026-11-24T01:02:03.65Z',
  });
});

test('a listing that begins at a TXID is asked of the server, page by page', async () => {
  await using client = clientFor(server);
  const bucket = server.buckets.get('litestream');
  for (let txid = 1; txid <= 2500; txid++) {
    const name = txid.toString(16).padStart(16, '0');
    const object = { body: Buffer.alloc(1), etag: '"e"', modifiedAtMs: 0, headers: {}, crc64: '0' };
    bucket?.set(`app/0000/${name}-${name}.ltx`, object);
  }
  const all = await Array.fromAsync(client.ltxFiles(0));
  expect(all.map(({ minTxid }) => Number(minTxid))).toEqual(Array.from({ length: 2500 }, (_, index) => index + 1));
  expect(server.calls).toHaveLength(3);
  server.calls.length = 0;
  expect(await Array.fromAsync(client.ltxFiles(0, { seek: 2400n }))).toHaveLength(101);
  expect(server.calls).toHaveLength(1);
});

test('an abort in mid-transfer rejects with its reason and leaves no object, no part, no socket, no word', async () => {
  const warn = vi.spyOn(console, 'warn');
  await using client = clientFor(server);
  const controller = new AbortController();
  const reason = new Error('enough');
  let parts = 0;
  server.fault = ({ operation }) => {
    if (operation !== 'UploadPart' || ++parts < 2) return undefined;
    void pause(10, 'the transfer goes on').then(() => controller.abort(reason));
    return { kind: 'stall' };
  };
  const write = client.writeLtxFile({ ...file(1n), timestamp }, bodyOf(randomBytes(20 * MIB)), {
    signal: controller.signal,
  });
  await expect(write).rejects.toBe(reason);
  expect([server.keys(), server.uploads.size]).toEqual([[], 0]);
  expect(warn).not.toHaveBeenCalled();
  await client[Symbol.asyncDispose]();
  await until('the connections to be closed', () => server.sockets.size === 0);
});

test('a part that fails takes the upload back', async () => {
  await using client = clientFor(server);
  server.fault = ({ operation, query }) =>
    operation === 'UploadPart' && query.get('partNumber') === '2'
      ? { kind: 'status', status: 403, code: 'AccessDenied' }
      : undefined;
  const write = client.writeLtxFile({ ...file(1n), timestamp }, bodyOf(randomBytes(12 * MIB)));
  await expect(write).rejects.toMatchObject({ code: 'PERMISSION_DENIED', retryable: false });
  expect([server.keys(), server.uploads.size]).toEqual([[], 0]);
});

test('parts grow, so that a body of unknown size never needs more than the service takes', async () => {
  await using client = clientFor(server, { partSize: 100 * 1024, concurrency: 2 });
  const bytes = randomBytes(3 * MIB + 7);
  const written = await client.writeLtxFile({ ...file(1n), timestamp }, { open: () => bodyOf(bytes).open() });
  expect(written.size).toBe(bytes.byteLength);
  expect((await readAll(await client.openLtxFile(file(1n)))).equals(bytes)).toBe(true);
});

test('a connection that breaks is an error, never a short file', async () => {
  await using client = clientFor(server);
  await client.writeLtxFile({ ...file(1n), timestamp }, bodyOf(randomBytes(MIB)));
  server.fault = () => ({ kind: 'cut', afterBytes: 100_000 });
  const read = client.openLtxFile(file(1n)).then(readAll);
  await expect(read).rejects.toMatchObject({ code: 'NETWORK', retryable: true });
});

test('objects that a retention policy keeps are named when they were not deleted', async () => {
  await using client = clientFor(server);
  for (const txid of [1n, 2n]) await client.writeLtxFile({ ...file(txid), timestamp }, bodyOf(Buffer.alloc(1)));
  server.kept = (key) => key.includes('0000000000000002');
  await expect(client.deleteLtxFiles([file(1n), file(2n)])).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    object: 'app/0000/0000000000000002-0000000000000002.ltx',
  });
  expect(server.keys()).toHaveLength(1);
});

describe('errors', () => {
  test.each([
    ['a missing file', {}, 'NOT_FOUND', /^/],
    ['a missing bucket', { bucket: 'nowhere' }, 'BUCKET_MISSING', /Create the bucket/],
    ['an unknown key', { accessKeyId: 'nobody' }, 'UNAUTHORIZED', /access-key-id/],
    ['a wrong secret', { secretAccessKey: 'wrong' }, 'UNAUTHORIZED', /secret-access-key/],
    ['a wrong region', { region: 'us-west-1' }, 'CONFIG_INVALID', /region/],
    ['a wrong region, version 1', { region: 'us-west-1', signatureVersion: 1 as const }, 'NOT_FOUND', /^/],
    ['a token nobody asked for', { sessionToken: 'x' }, 'UNAUTHORIZED', /session-token/],
    ['an unreachable server', { endpoint: 'http://127.0.0.1:1' }, 'NETWORK', /endpoint/],
    ['an unknown host', { endpoint: 'http://nowhere.invalid', forcePathStyle: true }, 'NETWORK', /^/],
  ])('%s: %o is %s', async (_, options, code, hint) => {
    await using client = clientFor(server, options);
    const error = (await failureOf(client.openLtxFile(file(1n)))) as { hint?: string };
    expect(error).toMatchObject({ code, backend: 'oss' });
    expect(error.hint ?? '').toMatch(hint);
  });

  test.each([
    [503, 'SlowDown', 'THROTTLED', true],
    [503, 'QpsLimitExceeded', 'THROTTLED', true],
    [500, 'InternalError', 'UNAVAILABLE', true],
    [403, 'AccessDenied', 'PERMISSION_DENIED', false],
    [403, 'SecurityTokenExpired', 'UNAUTHORIZED', false],
    [403, 'RequestTimeTooSkewed', 'UNAUTHORIZED', false],
    [403, 'UserDisable', 'PERMISSION_DENIED', false],
    [409, 'FileImmutable', 'PERMISSION_DENIED', false],
    [301, 'PermanentRedirect', 'CONFIG_INVALID', false],
    [403, 'AccessForbidden', 'PERMISSION_DENIED', false],
  ])('%i %s is %s, retryable: %s', async (status, name, code, retryable) => {
    await using client = guardClient(clientFor(server), { retry: { attemptCountMax: 1 } });
    server.fault = () => ({ kind: 'status', status, code: name });
    const calls = [
      client.writeLtxFile({ ...file(1n), timestamp }, bodyOf(Buffer.alloc(1))),
      client.openLtxFile(file(1n)),
      Array.fromAsync(client.ltxFiles(0)),
      client.deleteLtxFiles([file(1n)]),
    ];
    const errors = await Promise.all(calls.map(failureOf));
    for (const error of errors) expect(error).toMatchObject({ code, retryable });
  });

  test('neither errors nor the client show credentials', async () => {
    server.securityToken = 'other';
    const secrets = { secretAccessKey: 'supersecretvalue', sessionToken: 'supersecrettoken' };
    await using client = clientFor(server, secrets);
    const errors = [
      await failureOf(client.openLtxFile(file(1n))),
      await failureOf(client.writeLtxFile({ ...file(1n), timestamp }, bodyOf(Buffer.alloc(1)))),
      await failureOf(Array.fromAsync(client.ltxFiles(0))),
    ];
    for (const shown of [...errors, client]) {
      for (const text of [inspect(shown, { depth: 20, showHidden: true }), String(shown), JSON.stringify(shown)]) {
        for (const secret of Object.values(secrets)) expect(text).not.toContain(secret);
      }
    }
  });
});
