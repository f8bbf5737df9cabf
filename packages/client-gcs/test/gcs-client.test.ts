import { inspect } from 'node:util';

import { forEachConcurrent, parseReplicaUrl, silentLogger } from '@litestream/core';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import { gcs, parseGcsConfig } from '../src/index.ts';
import type { Call } from '../../../tests/support/protocol-server.ts';
import { pause, until } from '../../../tests/support/wait.ts';
import { GcsTestServer } from './gcs-server.ts';
import { MIB, clientFor, file, randomBody, readAll } from './support.ts';

const timestamp = new Date('2026-11-24T01:02:03.650Z');
let server: GcsTestServer;

beforeEach(async () => {
  server = await GcsTestServer.start();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

test('a file lies where Go puts it, with the time in its metadata', async () => {
  await using client = clientFor(server);
  const { bytes, body } = randomBody(1000);
  await client.writeLtxFile({ ...file(0x1fn, 9), timestamp }, body);
  expect(server.names()).toEqual(['app/ltx/9/000000000000001f-000000000000001f.ltx']);
  expect(server.objects.get('app/ltx/9/000000000000001f-000000000000001f.ltx')).toMatchObject({
    body: bytes,
    contentType: 'application/octet-stream',
    metadata: { 'litestream-timestamp': '2026-11-24T01:02:03.65Z' },
  });
  const [listed] = await Array.fromAsync(client.ltxFiles(9));
  expect(listed?.timestamp).toEqual(timestamp);
});

test('an empty path has no leading slash', async () => {
  await using client = clientFor(server, { path: '' });
  await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(1).body);
  expect(server.names()).toEqual(['ltx/0/0000000000000001-0000000000000001.ltx']);
});

describe('uploads', () => {
  test.each([
    [0, true, ['multipart']],
    [1000, true, ['multipart']],
    [MIB, true, ['multipart']],
    [MIB + 1, true, ['session', 'part', 'part']],
    [2 * MIB, false, ['session', 'part', 'part']],
    [0, false, ['session', 'part']],
  ])('%i bytes, size known: %s', async (size, sized, operations) => {
    await using client = clientFor(server, { partSize: MIB });
    const { bytes, body } = randomBody(size);
    const written = await client.writeLtxFile({ ...file(1n), timestamp }, sized ? body : { open: () => body.open() });
    expect(server.calls.map((call) => call.operation)).toEqual(operations);
    expect(written).toMatchObject({ size, version: '1001' });
    expect(bytes.equals(await readAll(await client.openLtxFile(file(1n))))).toBe(true);
    expect(server.sessions.size).toBe(0);
  });

  test('a part that half arrived goes on where the server stands', async () => {
    await using client = clientFor(server, { partSize: MIB });
    let failures = 0;
    const fails = (call: Call, number: number): boolean => {
      if (call.operation !== 'part' || call.body.byteLength === 0 || failures !== number) return false;
      failures += 1;
      return true;
    };
    server.fault = (call) => (fails(call, 1) ? { kind: 'reset' } : undefined);
    server.half = (call) => (fails(call, 0) ? 256 * 1024 : undefined);
    const { bytes, body } = randomBody(3 * MIB + 5);
    await client.writeLtxFile({ ...file(1n), timestamp }, body);
    expect(failures).toBe(2);
    expect(bytes.equals(await readAll(await client.openLtxFile(file(1n))))).toBe(true);
  });

  test.each([
    ['in one request', 64 * MIB],
    ['in parts', MIB],
  ])('the bytes of a refused upload %s are not gone through one by one', async (_, partSize) => {
    const walked = vi.spyOn(Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array, 'forEach');
    onTestFinished(() => walked.mockRestore());
    await using client = clientFor(server, { partSize });
    const { body } = randomBody(2 * MIB);
    server.fault = ({ operation }) =>
      operation === 'session' ? undefined : { kind: 'status', status: 403, code: 'forbidden', message: 'not you' };
    const error: unknown = await client
      .writeLtxFile({ ...file(1n), timestamp }, body)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'PERMISSION_DENIED' });
    const sizes = walked.mock.contexts.map((bytes) => (bytes as Uint8Array).length);
    expect(sizes.filter((size) => size >= MIB)).toEqual([]);
    expect(inspect(error, { depth: 20, showHidden: true })).not.toMatch(/authorization/i);
  });

  test('an abort mid-transfer rejects with its reason, stores nothing and closes the session', async () => {
    await using client = clientFor(server, { partSize: MIB });
    const controller = new AbortController();
    const reason = new Error('enough');
    server.fault = (call) => {
      if (call.operation !== 'part') return undefined;
      void pause(10, 'the transfer goes on').then(() => controller.abort(reason));
      return { kind: 'stall' };
    };
    const write = client.writeLtxFile({ ...file(1n), timestamp }, randomBody(9 * MIB).body, {
      signal: controller.signal,
    });
    await expect(write).rejects.toBe(reason);
    expect([server.names(), server.sessions.size]).toEqual([[], 0]);
  });

  test('a whole file that meets a connection just closed goes out once more, unless under a condition', async () => {
    await using client = clientFor(server);
    server.fault = () => (server.calls.length === 1 ? { kind: 'reset' } : undefined);
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(100).body);
    expect([server.calls.length, server.names().length]).toEqual([2, 1]);
    server.calls.length = 0;
    const create = client.objects.put('lock.json', Buffer.from('{}'), { ifNoneMatch: '*' });
    await expect(create).rejects.toMatchObject({ code: 'NETWORK', retryable: true });
    expect(server.calls).toHaveLength(1);
  });

  test.each([100, 3 * MIB])(
    "a body's own error comes through as it is, and leaves nothing (%i bytes)",
    async (size) => {
      await using client = clientFor(server, { partSize: MIB });
      const failure = new Error('disk gone');
      const { body } = randomBody(size);
      const open = async function* (): AsyncGenerator<Uint8Array> {
        yield* body.open();
        throw failure;
      };
      await expect(client.writeLtxFile({ ...file(1n), timestamp }, { size: size + 1, open })).rejects.toBe(failure);
      expect([server.names(), server.sessions.size]).toEqual([[], 0]);
    },
  );
});

describe('downloads', () => {
  test.each([
    [{}, 0, 1000],
    [{ offset: 10 }, 10, 1000],
    [{ offset: 10, size: 20 }, 10, 30],
    [{ size: 2000 }, 0, 1000],
    [{ offset: 1000 }, 0, 0],
    [{ size: 0 }, 0, 0],
  ])('range %o', async (range, start, end) => {
    await using client = clientFor(server);
    const { bytes, body } = randomBody(1000);
    await client.writeLtxFile({ ...file(1n), timestamp }, body);
    const opened = await client.openLtxFile(file(1n), range);
    expect(opened.info).toEqual({ size: 1000, version: '1001' });
    expect(await readAll(opened)).toEqual(bytes.subarray(start, end));
  });

  test('leaving early, and an abort, free the connection', async () => {
    await using client = clientFor(server, { partSize: 32 * MIB });
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(20 * MIB).body);
    for await (const chunk of await client.openLtxFile(file(1n))) if (chunk.byteLength > 0) break;
    const controller = new AbortController();
    const opened = await client.openLtxFile(file(1n), { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(readAll(opened)).rejects.toThrow('enough');
    await until('the connections to be closed', () => server.sockets.size === 0);
  });

  test('a request that meets a connection just closed goes out once more, not for ever', async () => {
    await using client = clientFor(server);
    const { bytes, body } = randomBody(1000);
    await client.writeLtxFile({ ...file(1n), timestamp }, body);
    const tries = (): number => server.calls.filter(({ operation }) => operation === 'media').length;
    server.fault = () => (tries() === 1 ? { kind: 'reset' } : undefined);
    expect(bytes.equals(await readAll(await client.openLtxFile(file(1n))))).toBe(true);
    expect(tries()).toBe(2);
    server.fault = () => ({ kind: 'reset' });
    await expect(client.openLtxFile(file(1n))).rejects.toMatchObject({ code: 'NETWORK', retryable: true });
    expect(tries()).toBe(4);
  });

  test('a connection that breaks is an error, never a short file', async () => {
    await using client = clientFor(server);
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(MIB).body);
    server.fault = () => ({ kind: 'cut', afterBytes: 100_000 });
    await expect(client.openLtxFile(file(1n)).then(readAll)).rejects.toMatchObject({
      code: 'NETWORK',
      retryable: true,
    });
  });
});

test('2,500 files come in order over three pages, from a TXID on, and go again; neighbours stay', async () => {
  await using client = clientFor(server, { path: 'über app/x' });
  await using neighbour = clientFor(server, { path: 'über app/x2' });
  await neighbour.writeLtxFile({ ...file(1n), timestamp }, randomBody(1).body);
  const writes = Array.from({ length: 2500 }, (_, index) => BigInt(2500 - index));
  await forEachConcurrent(writes, 8, (txid) => client.writeLtxFile({ ...file(txid), timestamp }, randomBody(1).body));
  server.calls.length = 0;
  const all = await Array.fromAsync(client.ltxFiles(0));
  expect(all.map((info) => info.minTxid)).toEqual(writes.toReversed());
  expect(server.calls).toHaveLength(3);
  server.calls.length = 0;
  const some = await Array.fromAsync(client.ltxFiles(0, { seek: 2400n }));
  expect([some.length, some[0]?.minTxid, server.calls.length]).toEqual([101, 2400n, 1]);
  await client.objects.put('lock.json', Buffer.from('{}'));
  await client.deleteLtxFiles(some);
  await client.deleteLtxFiles(some);
  await client.deleteAll();
  expect(server.names()).toEqual(['über app/x/lock.json', 'über app/x2/ltx/0/0000000000000001-0000000000000001.ltx']);
});

describe('objects with conditions', () => {
  test('eight creates at once have one winner', async () => {
    await using client = clientFor(server);
    const tries = Array.from({ length: 8 }, () =>
      client.objects.put('lock.json', Buffer.from('x'), { ifNoneMatch: '*' }),
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
    expect((await client.objects.open('lock.json')).info.version).toBe(second.version);
    await client.objects.delete('lock.json', { ifMatch: second.version ?? '' });
    await expect(client.objects.delete('lock.json', stale)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await client.objects.delete('lock.json');
  });
});

describe('errors', () => {
  test.each([
    ['a missing file', {}, 'NOT_FOUND'],
    ['a missing bucket', { bucket: 'nowhere' }, 'BUCKET_MISSING'],
    ['an unreachable server', { endpoint: 'http://127.0.0.1:1' }, 'NETWORK'],
  ])('%s: reading, listing and writing', async (_, options, code) => {
    await using client = clientFor(server, options);
    await expect(client.openLtxFile(file(1n))).rejects.toMatchObject({ code, backend: 'gs' });
    if (code === 'NOT_FOUND') return;
    await expect(Array.fromAsync(client.ltxFiles(0))).rejects.toMatchObject({ code });
    await expect(client.writeLtxFile({ ...file(1n), timestamp }, randomBody(1).body)).rejects.toMatchObject({ code });
    await expect(client.deleteLtxFiles([file(1n)])).rejects.toMatchObject({ code });
  });

  test.each([
    [401, 'Invalid Credentials', 'UNAUTHORIZED', false],
    [403, 'does not have storage.objects.create access', 'PERMISSION_DENIED', false],
    [403, 'Object is subject to bucket retention policy', 'PERMISSION_DENIED', false],
    [429, 'rateLimitExceeded', 'THROTTLED', true],
    [503, 'Backend Error', 'UNAVAILABLE', true],
  ])('%i %s is %s, retryable: %s', async (status, message, code, retryable) => {
    await using client = clientFor(server);
    server.fault = () => ({ kind: 'status', status, code: message, message });
    const write = client.writeLtxFile({ ...file(1n), timestamp }, randomBody(1).body);
    await expect(write).rejects.toMatchObject({ code, retryable });
  });
});

test('the plugin reads configs and URLs, and honours STORAGE_EMULATOR_HOST without a scheme', async () => {
  const plugin = gcs();
  const url = parseReplicaUrl('gs://litestream/a/b');
  const config = parseGcsConfig({ bucket: url.host, path: url.path });
  const env = { STORAGE_EMULATOR_HOST: server.endpoint.replace('http://', '') };
  await using client = await plugin.create(config, { logger: silentLogger, env, folder: '/' });
  await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(1).body);
  expect(server.names()).toEqual(['a/b/ltx/0/0000000000000001-0000000000000001.ltx']);
  expect(() => parseGcsConfig({ path: 'x' })).toThrow('bucket required for gs replica');
});
