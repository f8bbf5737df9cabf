/** Replicas written by the Go program, checked in: read and restored without it. See `support/make-fixtures.ts`. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { FileClient, isLitestreamError, restore } from '@litestream/core';
import { LtxDecoder, verifyLtx } from '@litestream/ltx';
import { describe, expect, onTestFinished, test } from 'vitest';
import { verifyChain } from '../support/chain.ts';
import { copyFixtureReplica, loadFixtures } from '../support/fixture.ts';
import type { Fixture, FixturePoint, FixtureState } from '../support/fixture.ts';
import { databasePages } from '../support/pages.ts';
import { replicaFiles } from '../support/replica-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const fixtures = await loadFixtures();

test('the fixtures are there', () => {
  expect(fixtures.map((fixture) => fixture.name)).toEqual([
    'grow-and-shrink',
    'levels',
    'page-size-512',
    'page-size-65536',
    'plain-inserts',
    'taken-over',
  ]);
});

/** A writable copy of the fixture's replica, gone after the test. */
async function replicaOf(fixture: Fixture): Promise<{ folder: string; replica: string }> {
  const folder = await temporaryFolder(fixture.name);
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const replica = join(folder.path, 'replica');
  await copyFixtureReplica(fixture.name, replica);
  return { folder: folder.path, replica };
}

describe.each(fixtures)('made by Go: $name', (fixture) => {
  const { expected } = fixture;

  test('every file decodes and holds what its name says', async () => {
    const { replica } = await replicaOf(fixture);
    const files = await replicaFiles(replica);
    expect(files.map(({ level, name, size }) => ({ level, name, size }))).toEqual(
      expected.files.map(({ level, name, size }) => ({ level, name, size })),
    );
    for (const [index, file] of files.entries()) {
      const { header, size } = await verifyLtx(createReadStream(file.path), { file: file.name });
      expect(size).toBe(file.size);
      expect(header.pageSize).toBe(expected.pageSize);
      expect([header.minTxid, header.maxTxid]).toEqual([file.minTxid, file.maxTxid]);
      expect(header.timestampMs).toBe(expected.files[index]?.timestampMs);
    }
  });

  test('pages come in ascending order and a first file has all of them', async () => {
    const { replica } = await replicaOf(fixture);
    let complete = 0;
    for (const file of await replicaFiles(replica)) {
      const decoder = new LtxDecoder(createReadStream(file.path), { file: file.name });
      const header = await decoder.header();
      const pgnos: number[] = [];
      for await (const batch of decoder.batches()) pgnos.push(...batch.pgnos);
      await decoder.finish();
      expect(pgnos).toEqual([...new Set(pgnos)].sort((a, b) => a - b));
      if (header.minTxid === 1n) {
        expect(pgnos).toEqual(Array.from({ length: header.commit }, (_, i) => i + 1));
        complete += 1;
      }
    }
    expect(complete).toBeGreaterThan(0);
  });

  test('the client lists it, with the time of the last commit', async () => {
    const { replica } = await replicaOf(fixture);
    await using client = new FileClient({ path: replica });
    await client.init();
    const listed: unknown[] = [];
    for (let level = 0; level <= 9; level += 1) {
      for await (const file of client.ltxFiles(level)) {
        listed.push({ level, minTxid: file.minTxid, size: file.size, timestampMs: file.timestamp.getTime() });
      }
    }
    expect(listed).toEqual(
      expected.files.map(({ level, name, size, timestampMs }) => {
        return { level, minTxid: BigInt(`0x${name.slice(0, 16)}`), size, timestampMs };
      }),
    );
  });

  test('restores to the newest state, page by page', async () => {
    expect(await restored(fixture, {})).toEqual(expected.states[expected.newest]);
  });

  test.each(expected.points)('restores as Go did: $txid$timestamp', async (point) => {
    if (point.state === undefined) await expect(restored(fixture, point)).rejects.toSatisfy(isLitestreamError);
    else expect(await restored(fixture, point)).toEqual(expected.states[point.state]);
  });
});

async function restored(fixture: Fixture, point: FixturePoint): Promise<FixtureState> {
  const { folder, replica } = await replicaOf(fixture);
  await using client = new FileClient({ path: replica });
  const output = join(folder, 'restored.db');
  await restore(client, {
    output,
    ...(point.txid === undefined ? {} : { txid: BigInt(`0x${point.txid}`) }),
    ...(point.timestamp === undefined ? {} : { timestamp: new Date(point.timestamp) }),
  });
  return { ...(await databasePages(output)), chain: verifyChain(output) };
}
