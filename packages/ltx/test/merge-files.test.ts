/** Merging local files must give what merging streams gives, to the byte, and refuse what that refuses. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { mergeLtx } from '../src/index.ts';
import type { LtxError, MergeInput } from '../src/index.ts';
import { mergeLtxFiles } from '../src/node/index.ts';
import type { MergeFile } from '../src/node/index.ts';
import { chunked, collect, encodeFile, makePages, PAGE_SIZES, randomOf, seedTests, upTo } from './support.ts';

const seed = seedTests();
const folder = mkdtempSync(join(tmpdir(), 'litestream-merge-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function paths(files: readonly Uint8Array[]): MergeFile[] {
  return files.map((bytes, i) => {
    const path = join(folder, `${i}.ltx`);
    writeFileSync(path, bytes);
    return { path, file: `input-${i}` };
  });
}

function streams(files: readonly Uint8Array[]): MergeInput[] {
  return files.map((bytes, i) => ({ source: chunked(bytes), file: `input-${i}` }));
}

/** A snapshot or not, then files that change, grow and shrink the database. */
function historyOf(random: () => number, pageSize: number, withSnapshot: boolean): Uint8Array[] {
  const files: Uint8Array[] = [];
  let commit = 0;
  const count = 1 + (random() % 7);
  for (let i = 0; i < count; i += 1) {
    const before = commit;
    commit = 1 + (random() % 60);
    const isSnapshot = withSnapshot && i === 0;
    const chosen = upTo(commit).filter((pgno) => isSnapshot || pgno > before || random() % 4 === 0);
    const txid = BigInt(i + (withSnapshot ? 1 : 5));
    const header = { pageSize, commit, minTxid: txid, maxTxid: txid, timestampMs: 1000 + i };
    files.push(encodeFile(header, chosen, makePages(chosen.length, pageSize, random)));
  }
  return files;
}

test('gives what the merge of streams gives, in windows of any size, whether chunks are reused or not', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.constantFrom(...PAGE_SIZES),
      fc.boolean(),
      fc.integer({ min: 1, max: 300_000 }),
      async (number, pageSize, withSnapshot, windowSize) => {
        const files = historyOf(randomOf(number), pageSize, withSnapshot);
        const expected = await collect(mergeLtx(streams(files)));
        const kept = await collect(mergeLtxFiles(paths(files), { windowSize }));
        expect(Buffer.compare(kept, expected)).toBe(0);

        const copies: Uint8Array[] = [];
        let last: Uint8Array | undefined;
        for await (const chunk of mergeLtxFiles(paths(files), { windowSize, reuseChunks: true })) {
          // A chunk still stands after the next one was asked for, which is the latest that it may be copied.
          if (last !== undefined) copies.push(last.slice());
          last = chunk;
        }
        if (last !== undefined) copies.push(last);
        expect(Buffer.compare(Buffer.concat(copies), expected)).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

test('damage anywhere in any input is refused before the last chunk, by the name of that input', async () => {
  const random = randomOf(seed);
  for (let round = 0; round < 400; round += 1) {
    const files = historyOf(random, 512, round % 2 === 0);
    const clean = await collect(mergeLtx(streams(files)));
    const victim = random() % files.length;
    const bytes = files[victim] ?? new Uint8Array();
    const kind = round % 4;
    if (kind === 0) files[victim] = bytes.subarray(0, random() % bytes.length);
    else if (kind === 1) files[victim] = Buffer.concat([bytes, Buffer.alloc(1 + (random() % 40))]);
    else {
      const at = kind === 2 ? random() % bytes.length : bytes.length - 1 - (random() % Math.min(80, bytes.length));
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (random() % 8));
    }
    const streamed = await collect(mergeLtx(streams(files))).catch((error: unknown) => error as LtxError);
    const merged = await collect(mergeLtxFiles(paths(files), { windowSize: 2000 })).catch(
      (error: unknown) => error as LtxError,
    );
    if (!(merged instanceof Error)) {
      // Another compression of the same page, or a field that nothing depends on: then streams accept it, too.
      expect(Buffer.compare(merged, streamed as Uint8Array)).toBe(0);
      continue;
    }
    expect(merged).toMatchObject({ name: 'LtxError' });
    expect(streamed).toMatchObject({ name: 'LtxError' });
    expect(clean.length).toBeGreaterThan(0);
    const blamed = merged.code === 'NOT_CONTIGUOUS' ? [victim, victim + 1] : [victim];
    expect(blamed.map((index) => `input-${index}`)).toContain(merged.file);
  }
});

test('closes its files, however it ends', async () => {
  const files = historyOf(randomOf(seed), 4096, true);
  const inputs = paths(files);
  // Other systems do not tell.
  const open = (): number => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);
  const before = open();
  await collect(mergeLtxFiles(inputs));
  for await (const _ of mergeLtxFiles(inputs)) break;
  await expect(collect(mergeLtxFiles([...inputs, { path: join(folder, 'gone') }]))).rejects.toMatchObject({
    code: 'ENOENT',
  });
  expect(open()).toBe(before);
  await expect(collect(mergeLtxFiles([]))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});
