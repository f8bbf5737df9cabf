import { chmod, link, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { FileClient } from '../src/storage/file/file-client.ts';
import { hasCode } from '../src/util/error.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file client-'));
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

const file = (txid: number, level = 0) => ({ level, minTxid: BigInt(txid), maxTxid: BigInt(txid) });
const timestamp = new Date(1_700_000_000_123);
const body = (text: string) => ({
  open: async function* () {
    yield Buffer.from(text);
  },
});
const text = async (source: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(source)).toString();

describe('file client', () => {
  it('stores a file under the name that upstream uses, its time as mtime', async () => {
    const client = new FileClient({ path: folder });
    await client.init();
    const written = await client.writeLtxFile({ ...file(7), timestamp }, body('seven'));
    const path = join(folder, 'ltx/0/0000000000000007-0000000000000007.ltx');
    expect(client.localPath(file(7))).toBe(path);
    expect(Math.round((await stat(path)).mtimeMs)).toBe(timestamp.getTime());
    expect(written).toMatchObject({ size: 5, timestamp });
    const [listed] = await Array.fromAsync(client.ltxFiles(0));
    expect(listed).toEqual(written);
    expect(await text(await client.openLtxFile(file(7), { offset: 1, size: 3 }))).toBe('eve');
  });

  it('links a file that lies on the same disk, with the same owner and mode, and copies any other', async () => {
    const client = new FileClient({ path: join(folder, 'replica') });
    const source = join(folder, 'local.ltx');
    await writeFile(source, 'local', { mode: 0o600 });
    const fileBody = { ...body('local'), size: 5, path: source };
    for (let round = 0; round < 2; round++) {
      const written = await client.writeLtxFile({ ...file(7), timestamp }, fileBody);
      expect(written).toMatchObject({ size: 5, timestamp });
      expect((await stat(client.localPath(file(7)))).ino).toBe((await stat(source)).ino);
      expect((await readdir(join(folder, 'replica/ltx/0'))).length).toBe(1);
    }
    // The name here goes, the file of the replica stays the version that was listed.
    const [listed] = await Array.fromAsync(client.ltxFiles(0));
    await rm(source);
    expect(await Array.fromAsync(client.ltxFiles(0))).toEqual([listed]);
    expect(await text(await client.openLtxFile(file(7)))).toBe('local');

    await writeFile(source, 'local', { mode: 0o600 });
    await chmod(source, 0o640);
    await client.writeLtxFile({ ...file(8), timestamp }, fileBody);
    expect((await stat(client.localPath(file(8)))).ino).not.toBe((await stat(source)).ino);
    expect((await stat(client.localPath(file(8)))).mode & 0o777).toBe(0o600);
    await rm(source);
    await client.writeLtxFile({ ...file(9), timestamp }, fileBody);
    expect(await text(await client.openLtxFile(file(9)))).toBe('local');
  });

  it('keeps every millisecond of a time', async () => {
    const client = new FileClient({ path: folder });
    for (let ms = 0; ms < 1000; ms += 37) {
      const at = new Date(1_790_000_000_000 + ms);
      const written = await client.writeLtxFile({ ...file(1), timestamp: at }, body('x'));
      expect(written.timestamp.getTime()).toBe(at.getTime());
    }
  });

  it('gives files the mode of the database and folders the mode of its folder', async () => {
    const databaseFolder = join(folder, 'data');
    await mkdir(databaseFolder);
    await chmod(databaseFolder, 0o750);
    const databasePath = join(databaseFolder, 'app.db');
    await writeFile(databasePath, '');
    await chmod(databasePath, 0o640);
    const client = new FileClient({ path: join(folder, 'replica'), databasePath });
    await client.writeLtxFile({ ...file(1), timestamp }, body('x'));
    expect((await stat(client.localPath(file(1)))).mode & 0o777).toBe(0o640);
    expect((await stat(join(folder, 'replica/ltx/0'))).mode & 0o777).toBe(0o750);
  });

  it('makes private files and folders where no database is known', async () => {
    const client = new FileClient({ path: join(folder, 'replica') });
    await client.writeLtxFile({ ...file(1), timestamp }, body('x'));
    expect((await stat(client.localPath(file(1)))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'replica/ltx'))).mode & 0o777).toBe(0o700);
  });

  it('clears what killed writers left before its first write, once, and only what is old', async () => {
    const level = join(folder, 'ltx/0');
    await mkdir(level, { recursive: true });
    for (const name of ['a.ltx.tmp', 'b.ltx.tmp-1', 'other.txt']) await writeFile(join(level, name), '');
    const client = new FileClient({ path: folder });
    await client.init();
    expect(await Array.fromAsync(client.ltxFiles(0))).toEqual([]);
    expect(await readdir(level)).toHaveLength(3);
    // Nobody can set back the time of the last change of a file, so the test sets the clock.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 60 * 60 * 1000 });
    await client.writeLtxFile({ ...file(1), timestamp }, body('x'));
    expect((await readdir(level)).sort()).toEqual(['0000000000000001-0000000000000001.ltx', 'other.txt']);
    await writeFile(join(level, 'fresh.ltx.tmp'), '');
    await client.writeLtxFile({ ...file(2), timestamp }, body('x'));
    expect(await readdir(level)).toContain('fresh.ltx.tmp');
  });

  it('reads a replica that it may not write to and where a killed writer left something', async () => {
    const client = new FileClient({ path: folder });
    await client.writeLtxFile({ ...file(1), timestamp }, body('x'));
    const level = join(folder, 'ltx/0');
    await writeFile(join(level, 'a.ltx.tmp-killed'), '');
    await utimes(join(level, 'a.ltx.tmp-killed'), 1, 1);
    for (const path of [folder, join(folder, 'ltx')]) await chmod(path, 0o755);
    await chmod(client.localPath(file(1)), 0o644);
    await chmod(level, 0o555);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 60 * 60 * 1000 });
    const isRoot = process.geteuid?.() === 0; // whom no mode keeps from writing
    if (isRoot) process.seteuid?.(65_534);
    try {
      const reader = new FileClient({ path: folder });
      await reader.init();
      expect(await Array.fromAsync(reader.ltxFiles(0))).toHaveLength(1);
      expect(await text(await reader.openLtxFile(file(1)))).toBe('x');
    } finally {
      if (isRoot) process.seteuid?.(0);
      await chmod(level, 0o755);
    }
  });

  it('writes though it cannot remove what a killed writer left', async () => {
    const level = join(folder, 'ltx/0');
    await mkdir(join(level, 'a.ltx.tmp/not empty'), { recursive: true }); // not removed as a file is, whoever asks
    await writeFile(join(level, 'b.ltx.tmp'), '');
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 60 * 60 * 1000 });
    const client = new FileClient({ path: folder });
    await client.init();
    await client.writeLtxFile({ ...file(1), timestamp }, body('x'));
    expect((await readdir(level)).sort()).toEqual(['0000000000000001-0000000000000001.ltx', 'a.ltx.tmp']);
  });

  it('leaves the file that another is writing, whatever the age of the commits in it', async () => {
    const level = join(folder, 'ltx/0');
    await mkdir(level, { recursive: true });
    const source = join(folder, 'local.ltx');
    for (const path of [source, join(level, 'copied.ltx.tmp-1')]) {
      await writeFile(path, '');
      await utimes(path, timestamp, timestamp); // as the other writer does, before it syncs and renames
    }
    await link(source, join(level, 'linked.ltx.tmp-2'));
    const client = new FileClient({ path: folder });
    await client.init();
    await client.writeLtxFile({ ...file(1), timestamp }, body('x'));
    expect((await readdir(level)).sort()).toEqual([
      '0000000000000001-0000000000000001.ltx',
      'copied.ltx.tmp-1',
      'linked.ltx.tmp-2',
    ]);
  });

  it('leaves nothing behind when a body fails', async () => {
    const client = new FileClient({ path: folder });
    const failing = {
      open: async function* () {
        yield Buffer.from('some');
        throw new Error('source broke');
      },
    };
    await expect(client.writeLtxFile({ ...file(1), timestamp }, failing)).rejects.toThrow('source broke');
    expect(await readdir(join(folder, 'ltx/0'))).toEqual([]);
  });

  it('refuses a replica path that is a file, and creates nothing at init', async () => {
    await writeFile(join(folder, 'plain'), '');
    const error = await new FileClient({ path: join(folder, 'plain') }).init().catch((caught: unknown) => caught);
    expect(hasCode(error, 'CONFIG_INVALID')).toBe(true);
    await new FileClient({ path: join(folder, 'absent') }).init();
    expect(await readdir(folder)).toEqual(['plain']);
  });

  it('deletes LTX files only: what lies beside them stays', async () => {
    const client = new FileClient({ path: folder });
    await client.writeLtxFile({ ...file(1), timestamp }, body('x'));
    await writeFile(join(folder, 'keep.txt'), '');
    await client.deleteAll();
    expect(await readdir(folder)).toEqual(['keep.txt']);
  });

  it('lists a level of 20,000 files in order', async () => {
    const level = join(folder, 'ltx/0');
    await mkdir(level, { recursive: true });
    const hex = (txid: number) => txid.toString(16).padStart(16, '0');
    for (let txid = 20_000; txid > 0; txid--) await writeFile(join(level, `${hex(txid)}-${hex(txid)}.ltx`), '');
    const files = await Array.fromAsync(new FileClient({ path: folder }).ltxFiles(0, { seek: 101n }));
    expect(files.length).toBe(19_900);
    expect(files.every((info, index) => info.minTxid === BigInt(index + 101))).toBe(true);
  });

  it('has one winner among concurrent replacements under a condition', async () => {
    const { objects } = new FileClient({ path: folder });
    const first = await objects.put('lock.json', Buffer.from('0'));
    const replace = async (index: number): Promise<void> => {
      try {
        await objects.put('lock.json', Buffer.from(String(index)), { ifMatch: first.version ?? '' });
      } catch (error) {
        // A holder that was suspended for 10 s lost its lock to the next one, and has written nothing.
        if (!hasCode(error, 'UNAVAILABLE')) throw error;
        await replace(index);
      }
    };
    const results = await Promise.allSettled(Array.from({ length: 16 }, async (_, index) => await replace(index)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(hasCode(result.reason, 'PRECONDITION_FAILED')).toBe(true);
    }
    expect(await readdir(folder)).toEqual(['lock.json']);
  });
});
