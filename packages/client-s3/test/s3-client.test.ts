import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Logger } from '@litestream/core';

import { pause, until } from '../../../tests/support/wait.ts';
import { S3ReplicaClient } from '../src/index.ts';
import { S3TestServer } from './s3-server.ts';
import { MIB, clientFor, file, randomBody, readAll } from './support.ts';

const timestamp = new Date('2026-11-24T01:02:03.650Z');
let server: S3TestServer;

beforeEach(async () => {
  server = await S3TestServer.start();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

describe('names and metadata', () => {
  test('a file lies where Go puts it, with the time in its metadata', async () => {
    await using client = clientFor(server);
    const { bytes, body } = randomBody(1000);
    await client.writeLtxFile({ ...file(0x1fn, 9), timestamp }, body);
    expect(server.keys()).toEqual(['app/0009/000000000000001f-000000000000001f.ltx']);
    const stored = server.buckets.get('litestream')?.get('app/0009/000000000000001f-000000000000001f.ltx');
    expect(stored?.body).toEqual(bytes);
    expect(stored?.headers).toEqual({
      'content-type': 'application/octet-stream',
      'x-amz-meta-litestream-timestamp': '2026-11-24T01:02:03.65Z',
    });
  });

  test('with an empty path keys begin with a slash, but not those of other objects', async () => {
    await using client = clientFor(server, { path: '' });
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(10).body);
    await client.objects.put('lock.json', Buffer.from('{}'));
    expect(server.keys()).toEqual(['/0000/0000000000000001-0000000000000001.ltx', 'lock.json']);
    expect(await readAll(await client.openLtxFile(file(1n)))).toHaveLength(10);
    await client.deleteAll();
    expect(server.keys()).toEqual(['lock.json']);
  });

  test('storage class, KMS key and user agent go with a write', async () => {
    await using client = clientFor(server, { storageClass: 'GLACIER_IR', sseKmsKeyId: 'alias/a' });
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(10).body);
    expect(server.calls.at(-1)?.headers).toMatchObject({
      'x-amz-storage-class': 'GLACIER_IR',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'alias/a',
      'user-agent': expect.stringContaining('litestream') as string,
    });
  });

  test("a customer's key goes with every request that touches content", async () => {
    const sseCustomerKey = Buffer.alloc(32, 7).toString('base64');
    await using client = clientFor(server, { sseCustomerKey });
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(10).body);
    await client.writeLtxFile({ ...file(2n), timestamp }, randomBody(6 * MIB).body);
    await readAll(await client.openLtxFile(file(1n)));
    await Array.fromAsync(client.ltxFiles(0, { useMetadata: true }));
    const keyed = server.calls.filter(
      (call) => call.headers['x-amz-server-side-encryption-customer-key'] === sseCustomerKey,
    );
    expect(new Set(keyed.map((call) => call.operation))).toEqual(
      new Set([
        'PutObject',
        'CreateMultipartUpload',
        'UploadPart',
        'GetObject',
        'HeadObject',
        'CompleteMultipartUpload',
      ]),
    );
  });
});

describe('uploads', () => {
  test('small ones are one signed request without checksum headers that compatible servers refuse', async () => {
    await using client = clientFor(server);
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(4096).body);
    expect(server.calls.map((call) => call.operation)).toEqual(['PutObject']);
    const names = Object.keys(server.calls[0]?.headers ?? {});
    expect(names.filter((name) => /checksum|trailer|content-encoding/.test(name))).toEqual([]);
  });

  test('parts grow with what a body may hold at most: no more than 10,000 are taken of one object', async () => {
    await using client = clientFor(server);
    const { bytes, body } = randomBody(12 * MIB + 3);
    const sizeMax = 60 * 1024 * MIB;
    await client.writeLtxFile({ ...file(1n), timestamp }, { sizeMax, open: () => body.open() });
    const parts = server.calls.filter((call) => call.operation === 'UploadPart').map((call) => call.body.byteLength);
    const partSize = Math.ceil(sizeMax / 10_000);
    expect(parts.toSorted((a, b) => b - a)).toEqual([partSize, bytes.byteLength - partSize]);
  });

  test.each([
    ['of known size', true],
    ['of unknown size', false],
  ])('large ones %s go in parts', async (_, sized) => {
    await using client = clientFor(server);
    const { bytes, body } = randomBody(12 * MIB + 3);
    const written = await client.writeLtxFile({ ...file(1n), timestamp }, sized ? body : { open: () => body.open() });
    expect(written.size).toBe(bytes.byteLength);
    expect(server.calls.filter((call) => call.operation === 'UploadPart')).toHaveLength(3);
    expect(bytes.equals(await readAll(await client.openLtxFile(file(1n))))).toBe(true);
    expect(server.uploads.size).toBe(0);
  });

  test('never holds more parts in flight than configured', async () => {
    await using client = clientFor(server, { concurrency: 2 });
    let inFlight = 0;
    let most = 0;
    server.fault = async (call) => {
      if (call.operation === 'UploadPart') {
        most = Math.max(most, ++inFlight);
        await pause(5, 'an answer that comes when others have been asked for');
        inFlight -= 1;
      }
      return undefined;
    };
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(30 * MIB).body);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(2);
  });

  test('an abort mid-transfer rejects with its reason and leaves no object and no part', async () => {
    await using client = clientFor(server);
    const controller = new AbortController();
    const reason = new Error('enough');
    let parts = 0;
    server.fault = (call) => {
      if (call.operation !== 'UploadPart' || ++parts < 2) return undefined;
      void pause(10, 'the transfer goes on').then(() => controller.abort(reason));
      return { kind: 'stall' };
    };
    const write = client.writeLtxFile({ ...file(1n), timestamp }, randomBody(30 * MIB).body, {
      signal: controller.signal,
    });
    await expect(write).rejects.toBe(reason);
    expect(server.keys()).toEqual([]);
    expect(server.uploads.size).toBe(0);
    expect(server.calls.at(-1)?.operation).toBe('AbortMultipartUpload');
  });

  test("a body's own error comes through as it is, and leaves nothing", async () => {
    await using client = clientFor(server);
    const failure = new Error('disk gone');
    const { body } = randomBody(7 * MIB);
    const open = async function* (): AsyncGenerator<Uint8Array> {
      yield* body.open();
      throw failure;
    };
    await expect(client.writeLtxFile({ ...file(1n), timestamp }, { open })).rejects.toBe(failure);
    expect([server.keys(), server.uploads.size]).toEqual([[], 0]);
  });

  test('a body that is shorter than it said is not stored', async () => {
    await using client = clientFor(server);
    for (const size of [100, 8 * MIB]) {
      const { body } = randomBody(size - 1);
      const write = client.writeLtxFile({ ...file(1n), timestamp }, { size, open: () => body.open() });
      await expect(write).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect([server.keys(), server.uploads.size]).toEqual([[], 0]);
  });

  test('a failed part removes the upload', async () => {
    await using client = clientFor(server);
    server.fault = (call) =>
      call.operation === 'UploadPart' && call.query.get('partNumber') === '2'
        ? { kind: 'status', status: 403, code: 'AccessDenied' }
        : undefined;
    const write = client.writeLtxFile({ ...file(1n), timestamp }, randomBody(12 * MIB).body);
    await expect(write).rejects.toMatchObject({ code: 'PERMISSION_DENIED', retryable: false });
    expect([server.keys(), server.uploads.size]).toEqual([[], 0]);
  });
});

describe('downloads', () => {
  test.each([
    [{}, 0, 1000],
    [{ offset: 10 }, 10, 1000],
    [{ offset: 10, size: 20 }, 10, 30],
    [{ size: 2000 }, 0, 1000],
    [{ offset: 1000 }, 0, 0],
    [{ offset: 5000, size: 10 }, 0, 0],
    [{ size: 0 }, 0, 0],
  ])('range %o', async (range, start, end) => {
    await using client = clientFor(server);
    const { bytes, body } = randomBody(1000);
    await client.writeLtxFile({ ...file(1n), timestamp }, body);
    const opened = await client.openLtxFile(file(1n), range);
    expect(opened.info?.size).toBe(1000);
    expect(await readAll(opened)).toEqual(bytes.subarray(start, end));
  });

  test('leaving early, and an abort, free the connection', async () => {
    await using client = clientFor(server);
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(20 * MIB).body);
    for await (const chunk of await client.openLtxFile(file(1n))) if (chunk.byteLength > 0) break;
    const controller = new AbortController();
    const opened = await client.openLtxFile(file(1n), { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(readAll(opened)).rejects.toThrow('enough');
    await client[Symbol.asyncDispose]();
    await until('the connections to be closed', () => server.sockets.size === 0);
  });

  test('a connection that breaks is an error, never a short file', async () => {
    await using client = clientFor(server);
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(MIB).body);
    server.fault = () => ({ kind: 'cut', afterBytes: 100_000 });
    const read = client.openLtxFile(file(1n)).then(readAll);
    await expect(read).rejects.toMatchObject({ code: 'NETWORK', retryable: true });
  });
});

describe('listings and deletes', () => {
  test('2,500 files come in order over three pages, from a TXID on, with exact times if asked', async () => {
    await using client = clientFor(server, { path: 'über app/x' });
    const { body } = randomBody(1);
    for (let txid = 2500; txid > 0; txid--) await client.writeLtxFile({ ...file(BigInt(txid)), timestamp }, body);
    server.calls.length = 0;
    const all = await Array.fromAsync(client.ltxFiles(0));
    expect(all.map((info) => Number(info.minTxid))).toEqual(Array.from({ length: 2500 }, (_, index) => index + 1));
    expect(server.calls).toHaveLength(3);
    server.calls.length = 0;
    const some = await Array.fromAsync(client.ltxFiles(0, { seek: 2400n, useMetadata: true }));
    expect(some.map((info) => Number(info.minTxid)).slice(0, 2)).toEqual([2400, 2401]);
    expect(new Set(some.map((info) => info.timestamp.getTime()))).toEqual(new Set([timestamp.getTime()]));
    expect(server.calls.filter((call) => call.operation === 'ListObjectsV2')).toHaveLength(1);
    server.calls.length = 0;
    await client.deleteLtxFiles(all);
    expect(server.calls.map((call) => call.operation)).toEqual(['DeleteObjects', 'DeleteObjects', 'DeleteObjects']);
    expect(server.calls[0]?.headers).not.toHaveProperty('x-amz-checksum-crc32');
    expect(server.keys()).toEqual([]);
  });

  test('deleteAll leaves neighbours and foreign objects', async () => {
    await using client = clientFor(server);
    await using neighbour = clientFor(server, { path: 'app2' });
    for (const level of [0, 1, 9]) {
      await client.writeLtxFile({ ...file(1n, level), timestamp }, randomBody(1).body);
      await neighbour.writeLtxFile({ ...file(1n, level), timestamp }, randomBody(1).body);
    }
    await client.objects.put('lock.json', Buffer.from('{}'));
    await client.deleteAll();
    expect(server.keys().filter((key) => key.startsWith('app/'))).toEqual(['app/lock.json']);
    expect(server.keys().filter((key) => key.startsWith('app2/'))).toHaveLength(3);
  });
});

describe('objects with conditions', () => {
  test('eight creates at once have one winner', async () => {
    await using client = clientFor(server);
    const tries = Array.from({ length: 8 }, (_, index) =>
      client.objects.put('lock.json', Buffer.from(`${index}`), { ifNoneMatch: '*' }),
    );
    const ended = await Promise.allSettled(tries);
    expect(ended.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    for (const result of ended) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'PRECONDITION_FAILED' });
    }
  });

  test('replaces and deletes only the version it was given', async () => {
    await using client = clientFor(server);
    const first = await client.objects.put('lock.json', Buffer.from('1'));
    const second = await client.objects.put('lock.json', Buffer.from('2'), { ifMatch: first.version ?? '' });
    const stale = { ifMatch: first.version ?? '' };
    await expect(client.objects.put('lock.json', Buffer.from('3'), stale)).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
    });
    await expect(client.objects.delete('lock.json', stale)).rejects.toMatchObject({ code: 'PRECONDITION_FAILED' });
    await client.objects.delete('lock.json', { ifMatch: second.version ?? '' });
    await expect(client.objects.open('lock.json')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(client.objects.delete('lock.json', stale)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await client.objects.delete('lock.json');
  });
});

describe('errors', () => {
  test.each([
    ['a missing file', {}, 'NOT_FOUND'],
    ['a missing bucket', { bucket: 'nowhere' }, 'BUCKET_MISSING'],
    ['an unknown key', { accessKeyId: 'nobody' }, 'UNAUTHORIZED'],
    ['a wrong secret', { secretAccessKey: 'wrongwrongwrongwrong' }, 'UNAUTHORIZED'],
    ['an unreachable server', { endpoint: 'http://127.0.0.1:1' }, 'NETWORK'],
    ['an unknown host', { endpoint: 'http://nowhere.invalid' }, 'NETWORK'],
  ])('%s: %o is %s', async (_, options, code) => {
    await using client = clientFor(server, options);
    const error: unknown = await client.openLtxFile(file(1n)).then(
      () => undefined,
      (raised: unknown) => raised,
    );
    expect(error).toMatchObject({ code, backend: 's3' });
  });

  test.each([
    [503, 'SlowDown', 'THROTTLED', true],
    [500, 'InternalError', 'UNAVAILABLE', true],
    [403, 'AccessDenied', 'PERMISSION_DENIED', false],
    [400, 'ExpiredToken', 'UNAUTHORIZED', false],
    [403, 'NotSignedUp', 'UNAUTHORIZED', false],
    [404, 'XAdminUserNotFound', 'UNAUTHORIZED', false],
    [403, 'RequestTimeTooSkewed', 'UNAUTHORIZED', true],
    [412, 'PreconditionFailed', 'PRECONDITION_FAILED', false],
    [409, 'ConditionalRequestConflict', 'UNAVAILABLE', true],
  ])('%i %s is %s, retryable: %s', async (status, name, code, retryable) => {
    await using client = clientFor(server);
    server.fault = () => ({ kind: 'status', status, code: name });
    const write = client.writeLtxFile({ ...file(1n), timestamp }, randomBody(1).body);
    await expect(write).rejects.toMatchObject({ code, retryable });
  });

  test('LITESTREAM_S3_DEBUG logs requests and answers, and no credential', async () => {
    const lines: string[] = [];
    const log = (message: string, fields?: unknown): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
    const logger: Logger = { trace: log, debug: log, info: log, warn: log, error: log, child: () => logger };
    const { endpoint, accessKeyId, secretAccessKey } = server;
    server.sessionToken = 'canary-token';
    const options = { bucket: 'litestream', path: 'app', endpoint, accessKeyId, secretAccessKey };
    const sseCustomerKey = Buffer.alloc(32, 7).toString('base64');
    const secret = { sseCustomerKey, sessionToken: 'canary-token' };
    await using client = new S3ReplicaClient(
      { ...options, ...secret },
      { LITESTREAM_S3_DEBUG: 'all,nonsense' },
      logger,
    );
    server.fault = ({ operation }) =>
      operation === 'PutObject' && server.calls.length === 1
        ? { kind: 'status', status: 503, code: 'SlowDown' }
        : undefined;
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(10).body);
    const text = lines.join('\n');
    expect(text).toMatch(/unknown LITESTREAM_S3_DEBUG value.*nonsense/);
    expect(text).toMatch(/s3 signing .*x-amz-date/);
    expect(text).toMatch(/s3 request .*PutObject.*"size":10/);
    expect(text).toMatch(/s3 response .*"status":200/);
    expect(text).toMatch(/s3 retries .*"attempts":2/);
    for (const value of [secretAccessKey, sseCustomerKey, 'canary-token', 'Signature=']) {
      expect(text).not.toContain(value);
    }
  });

  test('neither errors nor the client show credentials', async () => {
    const sseCustomerKey = Buffer.alloc(32, 7).toString('base64');
    await using client = clientFor(server, { secretAccessKey: 'supersecretvalue', sseCustomerKey });
    const error: unknown = await client.openLtxFile(file(1n)).then(
      () => undefined,
      (raised: unknown) => raised,
    );
    const shown = [
      inspect(error, { depth: 20, showHidden: true }),
      inspect(client, { depth: 20 }),
      String(error),
      JSON.stringify(client),
    ];
    for (const text of shown) {
      expect(text).not.toContain('supersecretvalue');
      expect(text).not.toContain(sseCustomerKey);
    }
  });
});
