/** Compaction through a client alone: what is merged, what is refused, what is healed. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kernel } from '@litestream/ltx';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LtxFileInfo, ReplicaClient } from '../src/storage/contract/contract.ts';
import { Compactor } from '../src/compaction/compactor.ts';
import type { Gap } from '../src/compaction/compactor.ts';
import { validateReplica } from '../src/verify/validation.ts';
import { MemoryClient } from '../src/testing/memory-client.ts';
import { chunksOf, encodeFile, pagesOf, store } from './store-support.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('compactor');

const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
console.log(`store compactor: SEED=${seed}`);

/** A first file with every page, then files that change some. */
const history = fc.array(fc.dictionary(fc.constantFrom('1', '2', '3', '5', '8'), fc.nat(255), { minKeys: 1 }), {
  minLength: 1,
  maxLength: 12,
});

async function fill(client: MemoryClient, steps: readonly Record<string, number>[]): Promise<Map<number, number>> {
  const model = new Map(Array.from({ length: 8 }, (_, i) => [i + 1, 0]));
  await store(client, { minTxid: 1n, pages: model });
  for (const [i, step] of steps.entries()) {
    const pages = new Map(Object.entries(step).map(([pgno, byte]) => [Number(pgno), byte]));
    for (const [pgno, byte] of pages) model.set(pgno, byte);
    await store(client, { minTxid: BigInt(i + 2), pages, commit: 8 });
  }
  return model;
}

/** Writes a time into the header of a file of one page, and the checksum of the file that goes with it. */
function setTime(bytes: Uint8Array, timestampMs: bigint): void {
  const view = new DataView(bytes.buffer);
  const header = bytes.subarray(0, 100);
  const packedSize = view.getUint32(106);
  // What the checksum covers behind the header: the page unpacked, what precedes and follows it, one checksum.
  const restSize = 10 + 512 + (bytes.length - 16 - 110 - packedSize) + 8;
  const moved = (): bigint => kernel().crc64Combine(kernel().crc64(header), 0n, restSize);
  const before = moved();
  view.setBigInt64(32, timestampMs);
  const crc = view.getBigUint64(bytes.length - 8) ^ before ^ moved();
  view.setBigUint64(bytes.length - 8, crc | (1n << 63n));
}

describe('compactor', () => {
  it('gives the newest version of every page, under the time of the last commit, whatever the bound on inputs', async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.integer({ min: 1, max: 20 }), async (steps, inputsMax) => {
        const client = new MemoryClient();
        const model = await fill(client, steps);
        const bounds: (number | undefined)[] = [];
        const write: ReplicaClient['writeLtxFile'] = client.writeLtxFile.bind(client);
        client.writeLtxFile = async (file, body, op) => {
          bounds.push(body.sizeMax);
          return await write(file, body, op);
        };
        const compactor = new Compactor(client, { inputsMax });
        const written = await compactor.compact(1);
        // Where parts are counted, a bound that is too low would fail the upload at its end.
        for (const [index, { size }] of written.entries()) expect(bounds[index]).toBeGreaterThanOrEqual(size);
        expect(written).toHaveLength(Math.ceil((steps.length + 1) / inputsMax));
        expect(written[0]?.minTxid).toBe(1n);
        expect(written.at(-1)?.maxTxid).toBe(BigInt(steps.length + 1));
        expect(written.at(-1)?.timestamp.getTime()).toBe((steps.length + 1) * 1000);
        const merged = new Map<number, number>();
        for (const file of written) for (const [pgno, byte] of await pagesOf(client, file)) merged.set(pgno, byte);
        expect(merged).toEqual(model);
        expect(await compactor.compact(1)).toEqual([]);
        expect((await validateReplica(client, { sample: 'all' })).faults).toEqual([]);
      }),
      { seed, numRuns: 40 },
    );
  });

  it('refuses a gap and writes nothing; goes on behind it once a snapshot covers it', async () => {
    const client = new MemoryClient();
    const all = new Map([[1, 1]]);
    for (const minTxid of [1n, 2n, 5n, 6n]) await store(client, { minTxid, pages: all });
    const compactor = new Compactor(client);
    await expect(compactor.compact(1)).rejects.toMatchObject({ code: 'REPLICA_GAP' });
    expect(await Array.fromAsync(client.ltxFiles(1))).toEqual([]);
    expect((await validateReplica(client)).faults).toMatchObject([{ kind: 'gap', level: 0 }]);

    // No base of any restore, so it covers nothing.
    const stray = await store(client, { level: 9, minTxid: 4n, maxTxid: 9n, pages: all });
    await expect(compactor.compact(1)).rejects.toMatchObject({ code: 'REPLICA_GAP' });
    expect((await validateReplica(client)).faults).toMatchObject([{ kind: 'gap', level: 0 }]);
    await client.deleteLtxFiles([stray]);

    await store(client, { level: 9, minTxid: 1n, maxTxid: 5n, pages: all });
    const written = await compactor.compact(1);
    expect(written.map(({ minTxid, maxTxid }) => [minTxid, maxTxid])).toEqual([
      [1n, 2n],
      [5n, 6n],
    ]);
    expect((await validateReplica(client)).faults).toEqual([]);
  });

  it('never merges across a change of page size', async () => {
    const client = new MemoryClient();
    await store(client, {
      minTxid: 1n,
      pages: new Map([
        [1, 1],
        [2, 2],
      ]),
    });
    await store(client, { minTxid: 2n, pages: new Map([[2, 3]]) });
    await store(client, { minTxid: 3n, pages: new Map([[1, 4]]), pageSize: 1024 });
    await store(client, { minTxid: 4n, pages: new Map([[1, 5]]), pageSize: 1024 });
    const written = await new Compactor(client).compact(1);
    expect(written.map(({ minTxid, maxTxid }) => [minTxid, maxTxid])).toEqual([
      [1n, 2n],
      [3n, 4n],
    ]);
  });

  it('leaves out every damaged file that a snapshot makes up for, beside a change of page size too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 2, maxLength: 8 }), fc.nat(8), async (bad, change) => {
        const client = new MemoryClient();
        const end = BigInt(bad.length);
        for (const [index, isBad] of bad.entries()) {
          const minTxid = BigInt(index + 1);
          const bytes = encodeFile({ minTxid, pages: new Map([[1, index]]), pageSize: index < change ? 512 : 1024 });
          if (isBad) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
          const file = { level: 0, minTxid, maxTxid: minTxid, timestamp: new Date(1000 * index) };
          await client.writeLtxFile(file, { open: () => chunksOf(bytes) });
        }
        await store(client, { level: 9, minTxid: 1n, maxTxid: end, pages: new Map([[1, 1]]) });
        const gaps: Gap[] = [];
        const written = await new Compactor(client, { onGap: (gap) => gaps.push(gap) }).compact(1);
        expect(gaps.map(({ kind, minTxid }) => [kind, Number(minTxid)])).toEqual(
          bad.flatMap((isBad, index) => (isBad ? [['damaged file', index + 1]] : [])),
        );
        const merged = written.flatMap(({ minTxid, maxTxid }) =>
          Array.from({ length: Number(maxTxid - minTxid) + 1 }, (_, i) => Number(minTxid) + i),
        );
        expect(merged).toEqual(bad.flatMap((isBad, index) => (isBad ? [] : [index + 1])));
        for (const { minTxid, maxTxid } of written) {
          expect(Number(minTxid) <= change && Number(maxTxid) > change).toBe(false);
        }
        expect((await validateReplica(client, { sample: 0 })).faults).toEqual([]);
      }),
      { seed, numRuns: 40 },
    );
  });

  it('finds a file damaged whose time is none, and leaves it out where a snapshot makes up for it', async () => {
    const client = new MemoryClient();
    for (const minTxid of [1n, 2n, 3n]) {
      const bytes = encodeFile({ minTxid, pages: new Map([[1, 1]]) });
      if (minTxid === 2n) setTime(bytes, 8_640_000_000_000_001n); // past what a Date holds, and still an exact number
      const file = { level: 0, minTxid, maxTxid: minTxid, timestamp: new Date(0) };
      await client.writeLtxFile(file, { open: () => chunksOf(bytes) });
    }
    const compactor = new Compactor(client);
    await expect(compactor.compact(1)).rejects.toMatchObject({ code: 'LTX_CORRUPT' });
    await store(client, { level: 9, minTxid: 1n, maxTxid: 2n, pages: new Map([[1, 1]]) });
    expect((await compactor.compact(1)).map(({ minTxid, maxTxid }) => [minTxid, maxTxid])).toEqual([
      [1n, 1n],
      [3n, 3n],
    ]);
  });

  it('reads local copies, and the replica instead of a damaged one', async () => {
    const opened: string[] = [];
    const client = new MemoryClient({ before: (operation, object) => void opened.push(`${operation} ${object}`) });
    const model = await fill(client, [{ 1: 7 }, { 3: 9 }]);
    const good = new Map(
      [1n, 2n, 3n].map((txid) => [txid, encodeFile({ minTxid: txid, commit: 8, pages: pagesAt(txid) })]),
    );
    function pagesAt(txid: bigint): ReadonlyMap<number, number> {
      if (txid === 1n) return new Map(Array.from({ length: 8 }, (_, i) => [i + 1, 0]));
      return txid === 2n ? new Map([[1, 7]]) : new Map([[3, 9]]);
    }
    const local = {
      path: ({ minTxid }: LtxFileInfo): string => {
        const path = join(folder, `${minTxid}.ltx`);
        writeFileSync(path, good.get(minTxid) ?? new Uint8Array());
        return path;
      },
    };
    opened.length = 0;
    const [first] = await new Compactor(client, { local }).compact(1);
    expect(opened.filter((call) => call.startsWith('openLtxFile'))).toEqual([]);
    expect(await pagesOf(client, first as LtxFileInfo)).toEqual(model);

    await client.deleteLtxFiles([first as LtxFileInfo]);
    const damaged = good.get(2n) as Uint8Array;
    damaged[120] = (damaged[120] ?? 0) ^ 1;
    const [second] = await new Compactor(client, { local }).compact(1);
    expect(await pagesOf(client, second as LtxFileInfo)).toEqual(model);
  });

  it('stores nothing when an input is corrupt on the replica', async () => {
    const client = new MemoryClient();
    await fill(client, [{ 1: 7 }]);
    const bytes = encodeFile({ minTxid: 3n, commit: 8, pages: new Map([[2, 2]]) });
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    const file = { level: 0, minTxid: 3n, maxTxid: 3n, timestamp: new Date(3000) };
    await client.writeLtxFile(file, { open: () => chunksOf(bytes) });
    await expect(new Compactor(client).compact(1)).rejects.toMatchObject({
      code: 'LTX_CORRUPT',
      object: 'ltx/0/0000000000000003-0000000000000003.ltx',
    });
    expect(await Array.fromAsync(client.ltxFiles(1))).toEqual([]);
    expect((await validateReplica(client, { sample: 'all' })).faults).toMatchObject([{ kind: 'corrupt', level: 0 }]);
  });

  it('refuses levels that are not for compaction', async () => {
    const compactor = new Compactor(new MemoryClient());
    await expect(compactor.compact(0)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(compactor.compact(9)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
