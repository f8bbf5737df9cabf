/** Merging local files must give what merging streams gives, to the byte, and refuse what that refuses. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { mergeLtx } from '../src/index.ts';
import type { LtxError, MergeInput } from '../src/index.ts';
import { mergeLtxFiles } from '../src/node/index.ts';
import type { MergeFile } from '../src/node/index.ts';
import { chunked, collect, encodeFile, makePages, PAGE_SIZES, randomOf, seedTests, upTo } from './support.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const seed = seedTests();
const folder = mkdtempSync(join(tmpdir(), 'litestream-merge-'));
afterAll(() => removeFolder(folder, { force: true }));

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
  // Of large pages fewer: most of the work is to fill them.
  const commitMax = Math.max(8, Math.min(60, 2 ** 18 / pageSize));
  let commit = 0;
  const count = 1 + (random() % 7);
  for (let i = 0; i < count; i += 1) {
    const before = commit;
    commit = 1 + (random() % commitMax);
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

test('files of Go with legacy frames and with checksums, damaged or not', async () => {
  const read = (name: string): Uint8Array =>
    new Uint8Array(readFileSync(new URL(`fixtures/${name}.ltx`, import.meta.url)));
  for (const name of ['snapshot-with-checksums', 'snapshot-of-lz4-frames']) {
    const files = [read(name), read('increment')];
    const merged = await collect(mergeLtxFiles(paths(files)));
    expect(Buffer.compare(merged, await collect(mergeLtx(streams(files))))).toBe(0);
    const [snapshot = new Uint8Array()] = files;
    for (let at = 0; at < snapshot.length; at += 31) {
      const damaged = snapshot.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 4;
      const outcome = async (merge: AsyncIterable<Uint8Array>): Promise<string> =>
        await collect(merge).then(
          (bytes) => Buffer.from(bytes).toString('hex'),
          () => 'refused',
        );
      const inputs = [damaged, read('increment')];
      expect(await outcome(mergeLtxFiles(paths(inputs)))).toBe(await outcome(mergeLtx(streams(inputs))));
    }
  }
});

test('long indexes and pieces, and two merges at a time', async () => {
  const random = randomOf(seed);
  const made = [0, 1].map((turn) => {
    const commit = 700 + (random() % 300);
    return [1n, 2n, 3n].map((txid) => {
      const pgnos = upTo(commit).filter(() => txid === 1n || random() % 3 > 0);
      const pageSize = turn === 0 ? 512 : 4096;
      const header = { pageSize, commit, minTxid: txid, maxTxid: txid };
      return encodeFile(header, pgnos, makePages(pgnos.length, pageSize, random));
    });
  });
  const merges = made.map((files, turn) => {
    const windowSize = turn === 0 ? 20_000 : 2 << 20;
    const at = join(folder, `turn-${turn}`);
    mkdirSync(at, { recursive: true });
    const inputs = files.map((bytes, i) => {
      writeFileSync(join(at, `${i}`), bytes);
      return { path: join(at, `${i}`) };
    });
    return mergeLtxFiles(inputs, { windowSize, reuseChunks: true })[Symbol.asyncIterator]();
  });
  const got: Uint8Array[][] = [[], []];
  for (let open = [0, 1]; open.length > 0;) {
    const results = await Promise.all(open.map(async (turn) => ({ turn, result: await merges[turn]?.next() })));
    for (const { turn, result } of results) {
      if (result?.done === false) got[turn]?.push(result.value.slice());
    }
    open = results.filter(({ result }) => result?.done === false).map(({ turn }) => turn);
  }
  for (const [turn, files] of made.entries()) {
    expect(Buffer.compare(Buffer.concat(got[turn] ?? []), await collect(mergeLtx(streams(files))))).toBe(0);
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
