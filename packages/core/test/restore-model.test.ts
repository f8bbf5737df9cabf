import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ReplicaClient } from '../src/storage/contract/contract.ts';
import { FileClient } from '../src/storage/file/file-client.ts';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { hasCode, isLitestreamError } from '../src/util/error.ts';
import { restore } from '../src/restore/restore.ts';
import type { RestoreOptions, RestoreResult } from '../src/index.ts';
import { FaultClient, MemoryClient, Seeded } from '../src/testing/index.ts';
import { History, upload } from './support/ltx-history.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('restore-model');
const seed = Number(process.env['SEED'] ?? (Math.random() * 2 ** 31) | 0);
const PAGE_SIZES = [512, 1024, 4096, 16_384, 65_536];

/** Puts a history on a replica: level 0, compacted files and snapshots. True if every TXID still has its own file. */
async function publish(history: History, client: ReplicaClient, random: Seeded): Promise<boolean> {
  const { txidMax } = history.shape;
  const dropTo = random.next() < 0.5 ? 1 + random.below(txidMax) : 0;
  for (let txid = 1; txid <= txidMax; txid++) {
    if (txid <= dropTo) continue;
    await upload(client, 0, [txid, txid], history.files[txid - 1] ?? Buffer.alloc(0));
  }
  for (let level = 1; level <= 3; level++) {
    for (let min = 1; min <= txidMax;) {
      const max = Math.min(txidMax, min + random.below(4 * level) + (dropTo > 0 ? level : 0));
      if (dropTo > 0 || random.next() < 0.5) {
        await upload(client, level, [min, max], await history.merged(min, max));
      }
      min = max + 1;
    }
  }
  for (let count = random.below(3); count > 0; count--) {
    const max = 1 + random.below(txidMax);
    await upload(client, 9, [1, max], await history.merged(1, max));
  }
  return dropTo === 0;
}

/** As a user would: what may pass is tried again. A network bad enough uses up any number of retries, with some seed. */
async function restoreAtLast(client: ReplicaClient, options: RestoreOptions): Promise<RestoreResult> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await restore(client, options);
    } catch (error) {
      if (attempt === 10 || !isLitestreamError(error) || !error.retryable) throw error;
      expect(existsSync(options.output)).toBe(false);
    }
  }
}

async function expectEveryState(history: History, client: ReplicaClient, isComplete: boolean): Promise<number> {
  const output = join(folder, 'out.db');
  let restored = 0;
  for (let txid = 1; txid <= history.shape.txidMax; txid++) {
    rmSync(output, { force: true });
    try {
      const result = await restoreAtLast(client, { output, txid: BigInt(txid) });
      expect(result.txid).toBe(BigInt(txid));
      expect(readFileSync(output).equals(history.states[txid - 1] ?? Buffer.alloc(0))).toBe(true);
      restored++;
    } catch (error) {
      if (!hasCode(error, 'TXID_OUT_OF_RANGE')) throw error;
      expect(isComplete).toBe(false);
    }
  }
  rmSync(output, { force: true });
  const newest = await restoreAtLast(client, { output });
  expect(newest.txid).toBe(BigInt(history.shape.txidMax));
  expect(readFileSync(output).equals(history.states.at(-1) ?? Buffer.alloc(0))).toBe(true);
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  return restored;
}

describe(`restore against the states of random histories (SEED=${seed})`, () => {
  for (const pageSize of PAGE_SIZES) {
    test(`${pageSize} bytes a page`, async () => {
      const random = new Seeded(seed ^ pageSize);
      for (let round = 0; round < 4; round++) {
        const history = new History({ pageSize, txidMax: 12, pageCountMax: 20, entropy: round % 2 }, random);
        const path = join(folder, `replica-${pageSize}-${round}`);
        const client = round % 2 === 0 ? new MemoryClient() : new FileClient({ path });
        expect(await expectEveryState(history, client, await publish(history, client, random))).toBeGreaterThan(0);
      }
    });
  }

  test('a network that fails changes nothing', async () => {
    const random = new Seeded(seed);
    const history = new History({ pageSize: 4096, txidMax: 8, pageCountMax: 30, entropy: 1 }, random);
    const memory = new MemoryClient();
    const isComplete = await publish(history, memory, random);
    const faulty = new FaultClient(memory, { seed, rate: 0.3 });
    const client = guardClient(faulty, { retry: { delayMsMin: 1, delayMsMax: 2 } });
    expect(await expectEveryState(history, client, isComplete)).toBeGreaterThan(0);
    expect(faulty.injected.length).toBeGreaterThan(20);
  });

  test.each([
    ['workers read the files themselves', true, 2],
    ['workers are handed what the client sends', false, 3],
    ['one worker', true, 1],
    ['copies of what cannot be read by range', 'whole', 4],
  ] as const)('megabytes of incompressible pages: %s', async (_, isLocal, parallelism) => {
    const random = new Seeded(seed);
    const history = new History(
      { pageSize: 4096, txidMax: 5, pageCountMin: 700, pageCountMax: 900, entropy: 1 },
      random,
    );
    const path = join(folder, `big-${parallelism}`);
    const client =
      isLocal === true ? new FileClient({ path }) : isLocal === 'whole' ? withoutRanges() : new MemoryClient();
    for (const [index, bytes] of history.files.entries()) await upload(client, 0, [index + 1, index + 1], bytes);
    await upload(client, 9, [1, 3], await history.merged(1, 3));
    const output = join(folder, `big-${parallelism}.db`);
    const result = await restore(client, { output, parallelism });
    expect(result.plan.map((file) => file.level)).toEqual([9, 0, 0]);
    // Less is restored without workers.
    expect(result.inputSize).toBeGreaterThan(2 << 20);
    expect(readFileSync(output).equals(history.states.at(-1) ?? Buffer.alloc(0))).toBe(true);
    expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([]);
  });
});

/** A client that always starts at the first byte, as some servers do. */
function withoutRanges(): ReplicaClient {
  const memory = new MemoryClient();
  return guardClient(Object.assign(memory, { capabilities: { ...memory.capabilities, ranges: false } }));
}
