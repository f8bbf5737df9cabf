import { describe, expect, it } from 'vitest';
import type { LtxFileInfo, LtxFileRef, ReplicaClient } from '../src/index.ts';
import { copyReplica, guardClient, restore } from '../src/index.ts';
import { FaultClient, MemoryClient, Seeded } from '../src/testing/index.ts';
import { History } from './support/ltx-history.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
console.log(`copy: SEED=${seed}`);

function makeHistory(): History {
  return new History({ pageSize: 1024, txidMax: 12, pageCountMax: 40, entropy: 0.5 }, new Seeded(seed));
}

/** Level 0 from TXID 5 on, level 1 of it all, a snapshot at TXID 8. */
async function fill(client: ReplicaClient, history: History): Promise<void> {
  const put = async (ref: LtxFileRef, bytes: Uint8Array): Promise<void> => {
    const timestamp = new Date(History.commitMs(ref.maxTxid));
    await client.writeLtxFile({ ...ref, timestamp }, { size: bytes.length, open: () => chunks(bytes) });
  };
  for (let txid = 5; txid <= 12; txid++) {
    const bytes = history.files[txid - 1] ?? Buffer.of();
    await put({ level: 0, minTxid: BigInt(txid), maxTxid: BigInt(txid) }, bytes);
  }
  for (const [min, max] of [
    [1, 4],
    [5, 8],
    [9, 11],
  ] as const) {
    await put({ level: 1, minTxid: BigInt(min), maxTxid: BigInt(max) }, await history.merged(min, max));
  }
  await put({ level: 9, minTxid: 1n, maxTxid: 8n }, await history.merged(1, 8));
}

async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += 700) yield bytes.slice(at, at + 700);
}

async function everything(client: ReplicaClient): Promise<(Omit<LtxFileInfo, 'version'> & { bytes: string })[]> {
  const all = [];
  for (let level = 0; level <= 9; level++) {
    for await (const { version: _, ...file } of client.ltxFiles(level, { useMetadata: true })) {
      const parts: Uint8Array[] = [];
      for await (const chunk of await client.openLtxFile(file)) parts.push(chunk.slice());
      all.push({ ...file, bytes: Buffer.concat(parts).toString('base64') });
    }
  }
  return all;
}

const folder = temporaryFolder('copy');

describe(`copy, SEED=${seed}`, () => {
  it('takes every file of every level over, with its time, and finds nothing to do the second time', async () => {
    const [source, target] = [guardClient(new MemoryClient()), guardClient(new MemoryClient())];
    const history = makeHistory();
    await fill(source, history);
    const result = await copyReplica(source, target);
    expect(result).toMatchObject({ present: 0 });
    expect(result.copied.map(({ level }) => level)).toEqual([9, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(await everything(target)).toEqual(await everything(source));
    expect(await copyReplica(source, target)).toEqual({ copied: [], present: 12, size: 0, contradictions: [] });
  });

  it('can be restored from', async () => {
    const [source, target] = [guardClient(new MemoryClient()), guardClient(new MemoryClient())];
    const history = makeHistory();
    await fill(source, history);
    await copyReplica(source, target);
    const output = join(folder, 'out.db');
    await restore(target, { output });
    expect(readFileSync(output).equals(history.states[11] ?? Buffer.of())).toBe(true);
  });

  it('says what it would do, and does nothing, on a dry run', async () => {
    const [source, target] = [guardClient(new MemoryClient()), guardClient(new MemoryClient())];
    await fill(source, makeHistory());
    const { copied, size } = await copyReplica(source, target, { dryRun: true });
    expect(copied).toHaveLength(12);
    expect(size).toBeGreaterThan(0);
    expect(await everything(target)).toEqual([]);
  });

  it('gets over a source and a target that fail now and then', async () => {
    const source = new MemoryClient();
    await fill(source, makeHistory());
    const target = new MemoryClient();
    const faults = { rate: 0.15, faults: ['before', 'truncate', 'reset'] as const };
    const random = new Seeded(seed);
    const shaky = (client: ReplicaClient): ReplicaClient =>
      guardClient(new FaultClient(client, { ...faults, seed: random.below(2 ** 31) }));
    await copyReplica(shaky(source), shaky(target));
    expect(await everything(target)).toEqual(await everything(source));
  });

  it('never stores a damaged file, names it, and continues from there once it is repaired', async () => {
    const [source, target] = [guardClient(new MemoryClient()), guardClient(new MemoryClient())];
    const history = makeHistory();
    await fill(source, history);
    const good = history.files[6] ?? Buffer.of();
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(150) ^ 1, 150);
    const ref = { level: 0, minTxid: 7n, maxTxid: 7n, timestamp: new Date(History.commitMs(7n)) };
    await source.writeLtxFile(ref, { size: bad.length, open: () => chunks(bad) });
    const name = 'ltx/0/0000000000000007-0000000000000007.ltx';
    await expect(copyReplica(source, target)).rejects.toMatchObject({ object: name });
    const names = (await everything(target)).map((file) => `${file.level}/${file.maxTxid}`);
    expect(names).toContain('0/6');
    expect(names).not.toContain('0/7');
    expect(names).not.toContain('0/8');
    await source.writeLtxFile(ref, { size: good.length, open: () => chunks(good) });
    expect((await copyReplica(source, target)).copied.map(({ maxTxid }) => maxTxid)).toEqual([
      7n,
      8n,
      9n,
      10n,
      11n,
      12n,
    ]);
    expect(await everything(target)).toEqual(await everything(source));
  });

  it('refuses a target with another history, and an empty source', async () => {
    const [source, target, empty] = [0, 1, 2].map(() => guardClient(new MemoryClient()));
    if (source === undefined || target === undefined || empty === undefined) throw new Error('no clients');
    await fill(source, makeHistory());
    const other = new History({ pageSize: 512, txidMax: 14, pageCountMax: 10, entropy: 0.5 }, new Seeded(seed + 1));
    await fill(target, other);
    await expect(copyReplica(source, target)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await expect(copyReplica(empty, source)).rejects.toMatchObject({ code: 'REPLICA_EMPTY' });
    const bytes = other.files[13] ?? Buffer.of();
    const beyond = guardClient(new MemoryClient());
    const ref = { level: 0, minTxid: 14n, maxTxid: 14n, timestamp: new Date() };
    await beyond.writeLtxFile(ref, { size: bytes.length, open: () => chunks(bytes) });
    await expect(copyReplica(source, beyond)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    // Pages that do not compress: another database's files have the very same sizes.
    const [here, there] = [seed, seed + 1].map((each) => {
      return new History({ pageSize: 512, txidMax: 1, pageCountMin: 9, pageCountMax: 9, entropy: 1 }, new Seeded(each));
    });
    const twins = [guardClient(new MemoryClient()), guardClient(new MemoryClient())] as const;
    for (const [index, history] of [here, there].entries()) {
      const first = history?.files[0] ?? Buffer.of();
      const only = { level: 0, minTxid: 1n, maxTxid: 1n, timestamp: new Date() };
      await twins[index]?.writeLtxFile(only, { size: first.length, open: () => chunks(first) });
    }
    await expect(copyReplica(...twins)).rejects.toThrow('has another checksum there');
  });

  it('stops when it is told to, and goes on later', async () => {
    const [source, target] = [guardClient(new MemoryClient()), guardClient(new MemoryClient())];
    await fill(source, makeHistory());
    const stop = new AbortController();
    const onProgress = ({ filesDone }: { filesDone: number }): void => {
      if (filesDone === 5) stop.abort(new Error('enough'));
    };
    await expect(copyReplica(source, target, { signal: stop.signal, onProgress })).rejects.toThrow('enough');
    const { present } = await copyReplica(source, target);
    expect(present).toBeGreaterThanOrEqual(4);
    expect(await everything(target)).toEqual(await everything(source));
  });
});
