/** Replicas written by v0.3.13, checked in, restore as 0.5.17 restores them. See `support/make-v3-fixtures.ts`. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FileClient, guardClient, restore } from '@litestream/core';
import type { ObjectInfo, ReplicaClient } from '@litestream/core';
import { MemoryClient } from '@litestream/core/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { verifyChain } from '../support/chain.ts';
import type { FixtureState } from '../support/fixture.ts';
import { databasePages } from '../support/pages.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { copyV3Fixture, loadV3Fixtures } from '../support/v3-fixture.ts';
import type { V3Fixture } from '../support/v3-fixture.ts';

const fixtures = await loadV3Fixtures();

test('the fixtures are there', () => {
  expect(fixtures.map(({ name }) => name)).toEqual([
    'generations',
    'many-logs',
    'one-log',
    'page-size-65536',
    'upgraded',
  ]);
});

interface Place {
  readonly replica: string;
  readonly output: string;
  readonly client: ReplicaClient;
}

async function placeOf(fixture: V3Fixture): Promise<Place> {
  const folder = await temporaryFolder(fixture.name);
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const replica = join(folder.path, 'replica');
  await copyV3Fixture(fixture, replica);
  const client = guardClient(new FileClient({ path: replica }));
  return { replica, output: join(folder.path, 'restored.db'), client };
}

async function contentOf(path: string): Promise<FixtureState> {
  return { ...(await databasePages(path)), chain: verifyChain(path) };
}

describe.each(fixtures)('made by v0.3.13: $name', (fixture) => {
  const { states, points } = fixture.expected;

  test.each(points)('restores as 0.5.17 did: $timestamp', async ({ timestamp, state }) => {
    const { client, output } = await placeOf(fixture);
    const options = { output, timestamp: timestamp === undefined ? undefined : new Date(timestamp) };
    if (state === undefined) {
      await expect(restore(client, options)).rejects.toMatchObject({ code: 'TIMESTAMP_OUT_OF_RANGE' });
      return;
    }
    // `verifyChain` has SQLite check it.
    const result = await restore(client, options);
    expect(await contentOf(output)).toEqual(states[state]);
    expect(result.pageCount * result.pageSize).toBe(result.size);
  });

  test('through a client that knows objects alone', async () => {
    const { replica, output } = await placeOf(fixture);
    const memory = new MemoryClient({ chunkSize: 100 });
    for (const { path, timeMs } of fixture.expected.files) {
      memory.store.put(path, await readFile(join(replica, path)), new Date(timeMs));
    }
    await restore(guardClient(memory), { output });
    const [newest] = points;
    expect(await contentOf(output)).toEqual(states[newest?.state ?? -1]);
  });
});

describe('a v0.3 replica that is not whole', () => {
  const fixture = fixtures.find(({ name }) => name === 'many-logs') as V3Fixture;
  const objects = fixture.expected.files.map(({ path }) => path);
  const newestSnapshot = objects.findLast((path) => path.includes('/snapshots/')) ?? '';
  const logs = objects.filter((path) => path.includes('/wal/'));
  const last = logs.at(-1) ?? '';

  /** Removes snapshots but the first, so that all logs are needed. */
  async function fromTheStart(): Promise<Place> {
    const place = await placeOf(fixture);
    const [, ...later] = objects.filter((path) => path.includes('/snapshots/'));
    for (const path of later) await rm(join(place.replica, path));
    return place;
  }

  test('is the same from the first snapshot and all logs', async () => {
    const { client, output } = await fromTheStart();
    await restore(client, { output });
    expect(await contentOf(output)).toEqual(fixture.expected.states[0]);
  });

  test.each([
    ['a whole log', (path: string) => path.includes('/wal/00000001_'), /WAL 00000001 is missing/],
    [
      'the first piece of a log',
      (path: string) => path.includes('/wal/00000001_00000000'),
      /first segment of WAL 00000001/,
    ],
    [
      'a piece in the middle',
      (path: string) => path === logs.find((each) => /00000001_(?!00000000)/.test(each)),
      /has \d+ bytes so far/,
    ],
  ])('lacks %s', async (_, isLost, message) => {
    const { client, replica, output } = await fromTheStart();
    for (const path of objects.filter(isLost)) await rm(join(replica, path));
    await expect(restore(client, { output })).rejects.toMatchObject({
      code: 'REPLICA_GAP',
      message: expect.stringMatching(message),
    });
    await expect(readFile(output)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(readFile(`${output}.tmp`)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(readFile(`${output}.tmp-log`)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('each of many flipped bits is refused, or harmless', async () => {
    const { client, replica, output } = await placeOf(fixture);
    let refused = 0;
    for (const path of [newestSnapshot, last]) {
      const whole = await readFile(join(replica, path));
      for (let at = 0; at < whole.length; at += Math.max(1, Math.floor(whole.length / 30))) {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        await writeFile(join(replica, path), bytes);
        try {
          // A match of LZ4 may be found at another distance as well.
          await restore(client, { output, overwrite: true });
          expect(await contentOf(output)).toEqual(fixture.expected.states[0]);
        } catch (error) {
          expect(error).toMatchObject({ code: 'LTX_CORRUPT', object: path });
          refused += 1;
        }
      }
      await writeFile(join(replica, path), whole);
    }
    expect(refused).toBeGreaterThan(30);
  });

  test('each truncation of a piece is refused', async () => {
    const { client, replica, output } = await placeOf(fixture);
    const whole = await readFile(join(replica, last));
    for (let size = 0; size < whole.length; size += 13) {
      await writeFile(join(replica, last), whole.subarray(0, size));
      await expect(restore(client, { output, overwrite: true })).rejects.toMatchObject({ code: 'LTX_CORRUPT' });
    }
  });

  test('holds what is no LZ4, no database, no log', async () => {
    const { client, replica, output } = await placeOf(fixture);
    await writeFile(join(replica, newestSnapshot), 'not compressed at all');
    await expect(restore(client, { output })).rejects.toMatchObject({ code: 'LTX_CORRUPT', object: newestSnapshot });
    await writeFile(join(replica, newestSnapshot), await readFile(join(replica, logs[0] ?? '')));
    await expect(restore(client, { output })).rejects.toMatchObject({ code: 'LTX_CORRUPT', object: newestSnapshot });
  });
});

test('a TXID is of LTX files alone', async () => {
  const fixture = fixtures.find(({ name }) => name === 'one-log') as V3Fixture;
  const { client, output } = await placeOf(fixture);
  await expect(restore(client, { output, txid: 1n })).rejects.toMatchObject({ code: 'REPLICA_EMPTY' });
});

test('an object that is replaced or breaks off while it is read', async () => {
  const fixture = fixtures.find(({ name }) => name === 'one-log') as V3Fixture;
  const { replica, output } = await placeOf(fixture);
  const memory = new MemoryClient({ chunkSize: 100 });
  for (const { path, timeMs } of fixture.expected.files) {
    memory.store.put(path, await readFile(join(replica, path)), new Date(timeMs));
  }
  const inner = memory.objects;
  let breaks = 0;
  const client: ReplicaClient = {
    type: memory.type,
    capabilities: memory.capabilities,
    init: (op) => memory.init(op),
    ltxFiles: (level, query) => memory.ltxFiles(level, query),
    openLtxFile: (file, range) => memory.openLtxFile(file, range),
    writeLtxFile: (file, body, op) => memory.writeLtxFile(file, body, op),
    deleteLtxFiles: (files, op) => memory.deleteLtxFiles(files, op),
    deleteAll: (op) => memory.deleteAll(op),
    [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
    objects: {
      ...inner,
      async open(
        key: string,
        range: { offset?: number },
      ): Promise<{ info: ObjectInfo; body: AsyncIterable<Uint8Array> }> {
        const opened = await inner.open(key, range);
        return { ...opened, body: breaking(opened.body) };
      },
    },
  };
  async function* breaking(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let chunkCount = 0;
    for await (const chunk of body) {
      yield chunk;
      chunkCount += 1;
      if (chunkCount === 3 && breaks < 2) {
        breaks += 1;
        throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
      }
    }
  }
  await restore(client, { output });
  expect(breaks).toBe(2);
  expect(await contentOf(output)).toEqual(fixture.expected.states[0]);
});
