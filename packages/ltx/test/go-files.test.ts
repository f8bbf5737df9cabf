import { openAsBlob, openSync, closeSync, fstatSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { kernel, mergeLtx, readPageIndex } from '../src/index.ts';
import { fileAccess } from '../src/node/index.ts';
import { chunked, collect, concat, decodeFile } from './support.ts';

// Written by github.com/superfly/ltx v0.5.3, except the pages of the second: LZ4 frames by github.com/pierrec/lz4 v4, as
// older versions of that library wrote them.
const url = (name: string): URL => new URL(`fixtures/${name}.ltx`, import.meta.url);
const load = (name: string): Uint8Array => new Uint8Array(readFileSync(url(name)));

/** The content the generator of the fixtures gave page `pgno` in its `generation`. */
function page(pgno: number, generation: number): Uint8Array {
  return Uint8Array.from({ length: 512 }, (_, i) => pgno * 31 + generation * 17 + Math.floor(i / (pgno + 1)));
}

const snapshotPages = concat([1, 2, 3, 4, 5].map((pgno) => page(pgno, 1)));

test.each(['snapshot-with-checksums', 'snapshot-of-lz4-frames'])('%s', async (name) => {
  const got = await decodeFile(chunked(load(name), 100));
  expect(got.pgnos).toEqual([1, 2, 3, 4, 5]);
  expect(got.pages).toEqual(snapshotPages);
  expect(got.header).toMatchObject({ minTxid: 1n, maxTxid: 1n, commit: 5, timestampMs: 1_700_000_000_000 });
  expect(got.header.extension).toBeUndefined();
});

test('an increment', async () => {
  const got = await decodeFile(chunked(load('increment')));
  expect(got.pgnos).toEqual([2, 6]);
  expect(got.pages).toEqual(concat([page(2, 2), page(6, 2)]));
  expect(got.header).toMatchObject({ walOffset: 32, walSize: 1072, salt1: 7, salt2: 8, commit: 6, maxTxid: 3n });
});

test.each(['snapshot-with-checksums', 'snapshot-of-lz4-frames'])('%s and the increment merge', async (name) => {
  const merged = await collect(mergeLtx([name, 'increment'].map((file) => ({ source: chunked(load(file)), file }))));
  const got = await decodeFile(chunked(merged));
  expect(got.pgnos).toEqual([1, 2, 3, 4, 5, 6]);
  expect(got.pages).toEqual(concat([1, 2, 3, 4, 5, 6].map((pgno) => page(pgno, pgno === 2 || pgno === 6 ? 2 : 1))));
  expect(got.header).toMatchObject({ minTxid: 1n, maxTxid: 3n, flags: 2, walOffset: 0, salt1: 0 });
});

test('a page by its index, through a descriptor and through a Blob', async () => {
  const fd = openSync(url('snapshot-of-lz4-frames'), 'r');
  try {
    const file = fileAccess(fd, fstatSync(fd).size);
    const { index } = await readPageIndex(file);
    const entry = index.find(3);
    const frame = await file.read(entry?.offset ?? 0, entry?.size ?? 0);
    expect(kernel().decodeFrames(frame, 512, 0n).pages.slice()).toEqual(page(3, 1));
    await expect(file.read(file.size - 1, 2)).rejects.toThrow(RangeError);
  } finally {
    closeSync(fd);
  }
  const blob = await openAsBlob(fileURLToPath(url('increment')));
  const read = async (at: number, size: number): Promise<Uint8Array> =>
    new Uint8Array(await blob.slice(at, at + size).arrayBuffer());
  expect([...(await readPageIndex({ size: blob.size, read })).index.pgnos]).toEqual([2, 6]);
});
