/** The span of time that listed files cover, carried through compactions. */
import { expect, it } from 'vitest';
import type { LtxFileInfo } from '../src/storage/contract/contract.ts';
import { withCreatedAt } from '../src/storage/reading/created-at.ts';
import { Compactor } from '../src/compaction/compactor.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { store } from './store-support.ts';

it('is the time of the earliest transaction, through any number of levels', async () => {
  const client = new MemoryClient();
  for (let txid = 1n; txid <= 9n; txid += 1n) await store(client, { minTxid: txid, pages: new Map([[1, 1]]) });
  await new Compactor(client, { inputsMax: 2 }).compact(1);
  await new Compactor(client, { inputsMax: 3 }).compact(2);
  await store(client, { level: 9, minTxid: 1n, maxTxid: 9n, pages: new Map([[1, 1]]), timestampMs: 9000 });
  const spans = async (level: number): Promise<unknown[]> => {
    const files = await withCreatedAt(client, await Array.fromAsync(client.ltxFiles(level)));
    return files.map(({ createdAt, timestamp }) => [createdAt?.getTime(), timestamp.getTime()]);
  };
  expect((await spans(0)).slice(0, 2)).toEqual([
    [1000, 1000],
    [2000, 2000],
  ]);
  expect((await spans(1)).slice(0, 2)).toEqual([
    [1000, 2000],
    [3000, 4000],
  ]);
  expect(await spans(2)).toEqual([
    [1000, 6000],
    [7000, 9000],
  ]);
  // A snapshot does not know when its history began.
  expect(await spans(9)).toEqual([[undefined, 9000]]);
});

it('leaves what is gone or damaged as it was listed', async () => {
  const client = new MemoryClient();
  const file = await store(client, { minTxid: 1n, pages: new Map([[1, 1]]) });
  const gone: LtxFileInfo = { ...file, minTxid: 2n, maxTxid: 2n };
  async function* garbage(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(200);
  }
  const bad = await client.writeLtxFile({ ...file, minTxid: 3n, maxTxid: 3n }, { open: garbage });
  const files = await withCreatedAt(client, [file, gone, bad]);
  expect(files).toEqual([{ ...file, createdAt: new Date(1000) }, gone, bad]);
});
