import { inspect } from 'node:util';

import { forEachConcurrent, parseReplicaUrl } from '@litestream/core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { AbsReplicaClient, abs, parseAbsConfig } from '../src/index.ts';
import { resolveSettings } from '../src/settings.ts';
import { AzuriteFront } from './azurite-front.ts';
import { Azurite } from './azurite.ts';
import { MIB, clientFor, file, randomBody, readAll } from './support.ts';

const timestamp = new Date('2026-11-24T01:02:03.650Z');
let server: Azurite;

beforeAll(async () => {
  server = await Azurite.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});
afterEach(async () => {
  await forEachConcurrent(await server.names(), 16, (name) => server.container.deleteBlob(name));
});

test('a file lies where Go puts it, with the time in its metadata and the tier Go sets', async () => {
  await using client = clientFor(server);
  await client.writeLtxFile({ ...file(0x1fn, 9), timestamp }, randomBody(1000).body);
  const name = 'app/ltx/9/000000000000001f-000000000000001f.ltx';
  expect(await server.names()).toEqual([name]);
  const found = await server.container.getBlobClient(name).getProperties();
  expect(found).toMatchObject({
    contentLength: 1000,
    contentType: 'application/octet-stream',
    blobType: 'BlockBlob',
    accessTier: 'Hot',
    metadata: { litestreamtimestamp: '2026-11-24T01:02:03.65Z' },
  });
  const [listed] = await Array.fromAsync(client.ltxFiles(9));
  expect(listed).toMatchObject({ timestamp, size: 1000, version: found.etag });
});

describe('uploads', () => {
  test.each([
    [0, true],
    [1000, true],
    [9 * MIB + 1, true],
    [9 * MIB + 1, false],
    [0, false],
  ])('%i bytes, size known: %s', async (size, sized) => {
    await using client = clientFor(server);
    const { bytes, body } = randomBody(size);
    const written = await client.writeLtxFile({ ...file(1n), timestamp }, sized ? body : { open: () => body.open() });
    expect(written.size).toBe(size);
    expect(bytes.equals(await readAll(await client.openLtxFile(file(1n))))).toBe(true);
  });

  test('an abort mid-transfer rejects with its reason and stores nothing', async () => {
    await using client = clientFor(server, { partSize: MIB });
    const controller = new AbortController();
    const reason = new Error('enough');
    const { body } = randomBody(12 * MIB);
    const open = async function* (): AsyncGenerator<Uint8Array> {
      let size = 0;
      for await (const chunk of body.open()) {
        size += chunk.byteLength;
        if (size > 8 * MIB) controller.abort(reason);
        yield chunk;
      }
    };
    const write = client.writeLtxFile({ ...file(1n), timestamp }, { open }, { signal: controller.signal });
    await expect(write).rejects.toBe(reason);
    expect(await server.names()).toEqual([]);
  });

  test.each([100, 6 * MIB])(
    "a body's own error comes through as it is, and leaves nothing (%i bytes)",
    async (size) => {
      await using client = clientFor(server);
      const failure = new Error('disk gone');
      const { body } = randomBody(size);
      const open = async function* (): AsyncGenerator<Uint8Array> {
        yield* body.open();
        throw failure;
      };
      await expect(client.writeLtxFile({ ...file(1n), timestamp }, { size: size + 1, open })).rejects.toBe(failure);
      expect(await server.names()).toEqual([]);
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
    expect(opened.info?.size).toBe(1000);
    expect(await readAll(opened)).toEqual(bytes.subarray(start, end));
  });

  test('an abort ends a read with its reason', async () => {
    await using client = clientFor(server);
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(20 * MIB).body);
    for await (const chunk of await client.openLtxFile(file(1n))) if (chunk.byteLength > 0) break;
    const controller = new AbortController();
    const opened = await client.openLtxFile(file(1n), { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(readAll(opened)).rejects.toThrow('enough');
  });
});

test('files come in order, from a TXID on, and go again; neighbours stay', async () => {
  await using client = clientFor(server, { path: 'über app/x' });
  await using neighbour = clientFor(server, { path: 'über app/x2' });
  await neighbour.writeLtxFile({ ...file(1n), timestamp }, randomBody(1).body);
  const txids = Array.from({ length: 300 }, (_, index) => BigInt(300 - index));
  await forEachConcurrent(txids, 8, (txid) => client.writeLtxFile({ ...file(txid), timestamp }, randomBody(1).body));
  const all = await Array.fromAsync(client.ltxFiles(0));
  expect(all.map((info) => info.minTxid)).toEqual(txids.toReversed());
  const some = await Array.fromAsync(client.ltxFiles(0, { seek: 200n }));
  expect([some.length, some[0]?.minTxid]).toEqual([101, 200n]);
  await client.objects.put('lock.json', Buffer.from('{}'));
  await client.deleteLtxFiles(some);
  await client.deleteLtxFiles(some);
  await client.deleteAll();
  expect(await server.names()).toEqual([
    'über app/x/lock.json',
    'über app/x2/ltx/0/0000000000000001-0000000000000001.ltx',
  ]);
});

describe('objects with conditions', () => {
  test('eight creates at once have one winner, though the losers hear 409', async () => {
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
    const [listed] = await Array.fromAsync(client.objects.list('lock'));
    expect([listed?.version, (await client.objects.open('lock.json')).info.version]).toEqual([
      second.version,
      second.version,
    ]);
    await client.objects.delete('lock.json', { ifMatch: second.version ?? '' });
    await expect(client.objects.delete('lock.json', stale)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await client.objects.delete('lock.json');
  });
});

describe('errors', () => {
  test.each([
    ['a missing file', {}, 'NOT_FOUND'],
    ['a missing container', { bucket: 'nowhere' }, 'BUCKET_MISSING'],
    ['a wrong key', { accountKey: Buffer.alloc(64, 1).toString('base64') }, 'UNAUTHORIZED'],
    ['an unreachable server', { endpoint: 'http://127.0.0.1:1/devstoreaccount1' }, 'NETWORK'],
  ])('%s', async (_, options, code) => {
    await using client = clientFor(server, options);
    await expect(client.openLtxFile(file(1n))).rejects.toMatchObject({ code, backend: 'abs' });
  });

  test('a connection that breaks within a listing is one to try again', async () => {
    await using front = await AzuriteFront.start(server);
    await using client = clientFor(server, { endpoint: front.endpoint });
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(1).body);
    front.fault = () => ({ kind: 'cut', afterBytes: 200 });
    const listing = Array.fromAsync(client.ltxFiles(0));
    await expect(listing).rejects.toMatchObject({ code: 'NETWORK', retryable: true });
    front.fault = () => undefined;
    expect(await Array.fromAsync(client.ltxFiles(0))).toHaveLength(1);
  });

  test('neither errors nor the client show credentials', async () => {
    const accountKey = Buffer.alloc(64, 1).toString('base64');
    const sasToken = 'sv=2024-11-04&sig=supersecretsignature%3D';
    for (const options of [{ accountKey }, { sasToken }]) {
      await using client = clientFor(server, options);
      const error: unknown = await client.openLtxFile(file(1n)).then(
        () => undefined,
        (raised: unknown) => raised,
      );
      expect(error).toBeInstanceOf(Error);
      const shown = [
        inspect(error, { depth: 20, showHidden: true }),
        inspect(client, { depth: 20 }),
        JSON.stringify(client),
      ];
      for (const text of shown) {
        expect(text).not.toContain(accountKey);
        expect(text).not.toContain('supersecretsignature');
      }
    }
  });
});

describe('configuration', () => {
  test('URLs name container, path and account', () => {
    const config = (url: string): unknown => parseAbsConfig(abs().configFromUrl?.(parseReplicaUrl(url)));
    expect(config('abs://container/a/b')).toMatchObject({ bucket: 'container', path: 'a/b', accountName: undefined });
    expect(config('abs://account@container/a')).toMatchObject({
      bucket: 'container',
      path: 'a',
      accountName: 'account',
    });
  });

  test('SAS token goes before account key, and that before the identity of the machine', () => {
    const options = { bucket: 'c', accountName: 'acc' };
    const env = { LITESTREAM_AZURE_ACCOUNT_KEY: 'ZW52', LITESTREAM_AZURE_SAS_TOKEN: '?sv=1&sig=x' };
    expect(resolveSettings(options, env)).toMatchObject({
      endpoint: 'https://acc.blob.core.windows.net',
      login: { kind: 'sas', token: 'sv=1&sig=x' },
    });
    expect(resolveSettings(options, { ...env, LITESTREAM_AZURE_SAS_TOKEN: '' }).login.kind).toBe('key');
    expect(resolveSettings(options, {}).login.kind).toBe('default');
    expect(() => resolveSettings({ bucket: 'c' }, {})).toThrow('account-name is required');
  });

  test('a connection string is enough', async () => {
    const { accountName, accountKey, endpoint } = server;
    const parts = ['DefaultEndpointsProtocol=http', `AccountName=${accountName}`, `AccountKey=${accountKey}`];
    const connectionString = [...parts, `BlobEndpoint=${endpoint}`].join(';');
    await using client = new AbsReplicaClient({ bucket: 'litestream', connectionString }, {});
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(1).body);
    expect(await server.names()).toEqual(['ltx/0/0000000000000001-0000000000000001.ltx']);
  });
});
