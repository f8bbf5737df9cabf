import { describe, expect, it, test } from 'vitest';

import { conformance } from '../src/conformance/index.ts';
import { createObjectStoreClient } from '../src/storage/client-kit/object-store-client.ts';
import { keyBelow, ltxFolder } from '../src/storage/client-kit/object-keys.ts';
import type { ObjectStoreDefinition } from '../src/storage/client-kit/object-store.ts';
import type { Body, ReplicaClient } from '../src/storage/contract/contract.ts';
import { MapStore } from './helpers/map-store.ts';

const timestamp = new Date('2026-11-24T01:02:03.650Z');

function bodyOf(text: string, size: number | undefined = text.length): Body {
  return {
    size,
    async *open() {
      yield await Promise.resolve(Buffer.from(text));
    },
  };
}

/** Like GCS and Azure: listings have times, and objects are deleted one by one. */
function flat(store: MapStore, path = 'app', more: Partial<ObjectStoreDefinition> = {}): ReplicaClient {
  return createObjectStoreClient({
    type: 'map',
    capabilities: { objects: true, conditions: true, conditionalCreate: true, timestamps: 'listing' },
    keys: { folder: ltxFolder(path), objectKey: (key) => keyBelow(path, key) },
    listsAllLevels: true,
    wholeSizeMax: 1000,
    connect: () => Promise.resolve(store),
    ...more,
  });
}

/** Like S3: times are only in the metadata of an object, listings may start at a key, and objects are deleted in batches. */
function hex(store: MapStore, path = 'app', more: Partial<ObjectStoreDefinition> = {}): ReplicaClient {
  return flat(store, path, {
    capabilities: {
      objects: true,
      conditions: true,
      conditionalCreate: true,
      timestamps: 'metadata',
      batchDelete: true,
      seekListing: true,
    },
    keys: { folder: `${path}/`, levelDigits: 4, objectKey: (key) => keyBelow(path, key) },
    relistsAfterDelete: true,
    headsMax: 3,
    ...more,
  });
}

const flatStore = new MapStore({ showsTimes: true, deletesMany: false });
const hexStore = new MapStore({ showsTimes: false, deletesMany: true });
const sizes = { describe, it, fileCount: 100, listCount: 50, runCount: 296 };
conformance({ name: 'a store with times in listings', ...sizes, client: (path) => flat(flatStore, path) });
conformance({ name: 'a store with times in metadata', ...sizes, client: (path) => hex(hexStore, path) });

const file = (txid: number, level = 0): { level: number; minTxid: bigint; maxTxid: bigint } => ({
  level,
  minTxid: BigInt(txid),
  maxTxid: BigInt(txid),
});

async function seeded(store: MapStore, client: ReplicaClient, count: number): Promise<void> {
  for (let txid = 1; txid <= count; txid++) await client.writeLtxFile({ ...file(txid), timestamp }, bodyOf('text'));
  store.calls.length = 0;
}

test('lists from a TXID on with one request and one HEAD per file, and deletes page by page', async () => {
  const store = new MapStore({ showsTimes: false, deletesMany: true });
  const client = hex(store);
  await seeded(store, client, 45);
  expect([...store.objects.keys()][30]).toBe('app/0000/000000000000001f-000000000000001f.ltx');
  expect(await Array.fromAsync(client.ltxFiles(0, { seek: 44n, useMetadata: true }))).toMatchObject([
    { ...file(44), size: 4, timestamp },
    { ...file(45), size: 4, timestamp },
  ]);
  expect(store.calls).toEqual([
    'list app/0000/',
    'head app/0000/000000000000002c-000000000000002c.ltx',
    'head app/0000/000000000000002d-000000000000002d.ltx',
  ]);
  store.calls.length = 0;
  await client.deleteAll();
  expect(store.calls.filter((call) => call !== 'list app/')).toEqual([
    'deleteMany 20',
    'deleteMany 20',
    'deleteMany 5',
  ]);
});

test('a listing leaves out a file that is deleted while the client asks for its time', async () => {
  const store = new MapStore({ showsTimes: false, deletesMany: true });
  const client = hex(store);
  await seeded(store, client, 2);
  const head = store.head.bind(store);
  store.head = (key) => {
    if (key.includes('0000000000000001')) store.objects.delete(key);
    return head(key);
  };
  expect(await Array.fromAsync(client.ltxFiles(0, { useMetadata: true }))).toMatchObject([file(2)]);
});

test('an empty range and a range past the end need one HEAD each', async () => {
  const store = new MapStore({ showsTimes: true, deletesMany: false });
  const client = flat(store);
  await seeded(store, client, 1);
  const empty = await client.openLtxFile(file(1), { size: 0 });
  expect(empty.info).toMatchObject({ size: 4 });
  expect(await Array.fromAsync(empty)).toEqual([]);
  expect(await Array.fromAsync(await client.openLtxFile(file(1), { offset: 4 }))).toEqual([]);
  expect(store.calls.map((call) => call.split(' ')[0])).toEqual(['head', 'get', 'head']);
});

test('reads a store without ranges only from the beginning, and removes deletion marks but does not list them', async () => {
  const store = new MapStore({ showsTimes: true, deletesMany: false });
  const client = flat(store, 'app', { capabilities: { ranges: false, objects: true } });
  await seeded(store, client, 2);
  for (const size of [undefined, 0]) {
    await expect(client.openLtxFile(file(1), { offset: 1, size })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  }
  expect(store.calls).toEqual([]);
  const list = store.list.bind(store);
  store.list = async (query) => {
    const { objects } = await list(query);
    return {
      objects: objects.map((object) => Object.assign(object, { isDeleted: object.key.includes('0000000000000001') })),
    };
  };
  expect(await Array.fromAsync(client.ltxFiles(0))).toMatchObject([file(2)]);
  expect(await Array.fromAsync(client.objects?.list('') ?? [])).toHaveLength(1);
  await client.deleteAll();
  expect(store.objects.size).toBe(0);
});

test('a listing that repeats a token fails and does not loop', async () => {
  const store = new MapStore({ showsTimes: true, deletesMany: false });
  const client = flat(store);
  await seeded(store, client, 1);
  const list = store.list.bind(store);
  store.list = async (query) => ({ ...(await list({ prefix: query.prefix })), next: 'again' });
  await expect(Array.fromAsync(client.ltxFiles(0))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('passes bodies up to the limit whole, others in chunks, and stores nothing for a wrong size', async () => {
  const store = new MapStore({ showsTimes: true, deletesMany: false });
  const client = flat(store, 'app', { wholeSizeMax: 4 });
  await client.writeLtxFile({ ...file(1), timestamp }, bodyOf('four'));
  await client.writeLtxFile({ ...file(2), timestamp }, bodyOf('five!'));
  await client.writeLtxFile({ ...file(3), timestamp }, { open: () => bodyOf('four').open() });
  expect(store.calls.map((call) => call.endsWith('in chunks'))).toEqual([false, true, true]);
  for (const text of ['abc', 'abcdef']) {
    const write = client.writeLtxFile({ ...file(4), timestamp }, bodyOf(text, text.length + 1));
    await expect(write).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
  expect(store.objects.size).toBe(3);
});

test('toError gets the operation, the request and the object, but no errors of a body or an abort', async () => {
  const store = new MapStore({ showsTimes: true, deletesMany: false });
  const client = flat(store, 'app', {
    toError: (_error, { operation, request, object }) => new Error(`${operation}, ${request}: ${object}`),
  });
  await expect(client.openLtxFile(file(7))).rejects.toThrow(
    'openLtxFile, get: app/ltx/0/0000000000000007-0000000000000007.ltx',
  );
  const failure = new Error('the source broke');
  // eslint-disable-next-line require-yield -- it fails before it yields
  const open = async function* (): AsyncGenerator<Uint8Array> {
    await Promise.reject(failure);
  };
  await expect(client.writeLtxFile({ ...file(7), timestamp }, { open })).rejects.toBe(failure);
  const signal = AbortSignal.abort(failure);
  await expect(Array.fromAsync(client.ltxFiles(0, { signal }))).rejects.toBe(failure);
});

test('connects again after a failed connection, and after the store has closed itself', async () => {
  const first = new MapStore({ showsTimes: true, deletesMany: false });
  const second = new MapStore({ showsTimes: true, deletesMany: false });
  const answers = [new Error('unreachable'), first, second];
  const connect = async (): Promise<MapStore> => {
    const answer = await Promise.resolve(answers.shift());
    if (answer instanceof MapStore) return answer;
    throw answer ?? new Error('connected too often');
  };
  const client = flat(first, 'app', { connect });
  await expect(client.init()).rejects.toThrow('unreachable');
  await Promise.all([client.init(), Array.fromAsync(client.ltxFiles(0)), Array.fromAsync(client.ltxFiles(1))]);
  first.isClosed = true;
  await Promise.all([Array.fromAsync(client.ltxFiles(0)), Array.fromAsync(client.ltxFiles(1))]);
  expect([first.calls.length, second.calls.length]).toEqual([2, 2]);
});
