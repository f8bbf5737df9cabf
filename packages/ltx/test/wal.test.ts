import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { kernel } from '../src/index.ts';
import { randomOf, seedTests } from './support.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const seed = seedTests();

/** SQLite's checksum, word by word. */
function sumReference(bytes: Uint8Array, big: boolean, s0: number, s1: number): { s0: number; s1: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [a, b] = [s0, s1];
  for (let at = 0; at < bytes.length; at += 8) {
    a = (a + view.getUint32(at, !big) + b) >>> 0;
    b = (b + view.getUint32(at + 4, !big) + a) >>> 0;
  }
  return { s0: a, s1: b };
}

function makeWal(frames: readonly { pgno: number; commit: number }[], pageSize: number, big: boolean): Uint8Array {
  const random = randomOf(seed);
  const bytes = Uint8Array.from({ length: frames.length * (24 + pageSize) }, random);
  const view = new DataView(bytes.buffer);
  let sums = { s0: 11, s1: 22 };
  for (const [i, { pgno, commit }] of frames.entries()) {
    const at = i * (24 + pageSize);
    view.setUint32(at, pgno);
    view.setUint32(at + 4, commit);
    view.setUint32(at + 8, 0xdeadbeef);
    view.setUint32(at + 12, 5);
    sums = sumReference(bytes.subarray(at, at + 8), big, sums.s0, sums.s1);
    sums = sumReference(bytes.subarray(at + 24, at + 24 + pageSize), big, sums.s0, sums.s1);
    view.setUint32(at + 16, sums.s0);
    view.setUint32(at + 20, sums.s1);
  }
  return bytes;
}

test.each([true, false])('checksum of random bytes, big-endian %s, across pieces', (big) => {
  const random = randomOf(seed);
  const bytes = Uint8Array.from({ length: (1 << 20) + 4096 + 8 }, random);
  expect(kernel().walChecksum(bytes, big, 1, 0xffffffff)).toEqual(sumReference(bytes, big, 1, 0xffffffff));
  expect(kernel().walChecksum(new Uint8Array(0), big, 3, 4)).toEqual({ s0: 3, s1: 4 });
});

test.each([true, false])('frames count from the start while salts and checksum hold, big-endian %s', (big) => {
  const pageSize = 4096;
  const size = 24 + pageSize;
  const count = 600; // more than one piece of the kernel
  const frames = Array.from({ length: count }, (_, i) => ({ pgno: i + 2, commit: i % 7 === 3 ? i + 100 : 0 }));
  const bytes = makeWal(frames, pageSize, big);
  const read = (data: Uint8Array): ReturnType<ReturnType<typeof kernel>['walFrames']> =>
    kernel().walFrames(data, pageSize, big, 0xdeadbeef, 5, 11, 22);
  const sumsAfter = (n: number): number[] => {
    const view = new DataView(bytes.buffer);
    return n === 0 ? [11, 22] : [view.getUint32((n - 1) * size + 16), view.getUint32((n - 1) * size + 20)];
  };
  const expectFrames = (data: Uint8Array, n: number): void => {
    const got = read(data);
    let last = n - 1;
    while (last >= 0 && frames[last]?.commit === 0) last -= 1;
    expect(got.count).toBe(n);
    expect([...got.pgnos]).toEqual(frames.slice(0, n).map((frame) => frame.pgno));
    expect([...got.commits]).toEqual(frames.slice(0, n).map((frame) => frame.commit));
    expect([got.s0, got.s1]).toEqual(sumsAfter(n));
    expect(got.lastCommit).toBe(last);
    expect([got.commitS0, got.commitS1]).toEqual(sumsAfter(last + 1));
  };
  expectFrames(bytes, count);
  expectFrames(bytes.subarray(0, 5 * size + 100), 5);
  expectFrames(bytes.subarray(0, 2 * size), 2);
  expectFrames(new Uint8Array(0), 0);
  const random = randomOf(seed);
  for (const bad of [0, 1, 6, 250, 256, 257, 599]) {
    // The page number, the commit, a salt, the checksum, or the page.
    for (const place of [
      random() % 4,
      4 + (random() % 4),
      8 + (random() % 8),
      16 + (random() % 8),
      24 + (random() % pageSize),
    ]) {
      const damaged = bytes.slice();
      damaged[bad * size + place] = (damaged[bad * size + place] ?? 0) ^ (1 << (random() % 8));
      expectFrames(damaged, bad);
    }
  }
});

test('a frame without a page number does not count, whatever its checksum', () => {
  const bytes = makeWal(
    [
      { pgno: 1, commit: 0 },
      { pgno: 0, commit: 1 },
    ],
    512,
    false,
  );
  expect(kernel().walFrames(bytes, 512, false, 0xdeadbeef, 5, 11, 22).count).toBe(1);
});

test('a log that SQLite wrote', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ltx-wal-'));
  const database = new DatabaseSync(join(folder, 'x.db'));
  try {
    database.exec('PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x)');
    for (let i = 0; i < 50; i += 1) database.exec(`INSERT INTO t VALUES(randomblob(${i * 100}))`);
    const wal = new Uint8Array(readFileSync(join(folder, 'x.db-wal')));
    const view = new DataView(wal.buffer);
    const big = (view.getUint32(0) & 1) === 1;
    const pageSize = view.getUint32(8);
    const start = kernel().walChecksum(wal.subarray(0, 24), big, 0, 0);
    expect(start).toEqual({ s0: view.getUint32(24), s1: view.getUint32(28) });
    const [salt1, salt2] = [view.getUint32(16), view.getUint32(20)];
    const frames = kernel().walFrames(wal.subarray(32), pageSize, big, salt1, salt2, start.s0, start.s1);
    expect(frames.count).toBe((wal.length - 32) / (24 + pageSize));
    expect(frames.count).toBeGreaterThan(50);
    expect(frames.lastCommit).toBe(frames.count - 1);
  } finally {
    database.close();
    removeFolder(folder);
  }
});
