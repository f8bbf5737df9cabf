import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../../../tests/support/wait.ts';
import type { FollowOptions } from '../src/follower/follower.ts';
import { Follower } from '../src/follower/follower.ts';
import { restore } from '../src/restore/restore.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { contentOf, followed, replicatedSource } from './support/followed.ts';
import type { Following, Source } from './support/followed.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('follow');
let count = 0;
let folder = '';
let output = '';

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
  output = join(folder, 'copy.db');
});

const follow = (client: MemoryClient, options: Partial<FollowOptions> = {}): Promise<Following> =>
  followed(client, { output, ...options });

/** As another program reads it. Closed when the test ends. */
function reader(options: { readOnly?: boolean } = {}): DatabaseSync {
  const database = new DatabaseSync(output, { readOnly: options.readOnly ?? true });
  onTestFinished(() => {
    if (database.isOpen) database.close();
  });
  return database;
}

const rows = (n: number, size: number): string =>
  `INSERT INTO t (x) SELECT randomblob(${size}) FROM (WITH RECURSIVE s (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s LIMIT ${n}) SELECT i FROM s)`;

/** Level-0 file of one TXID, as the store names it. */
const keyOf = (txid: number): string => {
  const hex = txid.toString(16).padStart(16, '0');
  return `ltx/0/${hex}-${hex}.ltx`;
};

async function expectSame(source: Source, copy: DatabaseSync, following: Following): Promise<void> {
  expect(await following.follower.poll()).toBe(source.database.position.txid);
  expect(contentOf(copy)).toBe(contentOf(source.app));
}

describe('a copy', () => {
  test.each([512, 4096, 65_536])('is what the source is, with pages of %i bytes', async (pageSize) => {
    const source = await replicatedSource(folder, { pageSize });
    await source.commit(rows(20, 300));
    const following = await follow(source.client);
    const copy = reader();
    await source.commit(rows(200, 1000));
    await expectSame(source, copy, following);
    await source.commit('DELETE FROM t WHERE id % 3 = 0');
    source.app.exec('VACUUM');
    await source.database.replicated();
    await expectSame(source, copy, following);
    // Grows by more than it ever had.
    await source.commit(rows(500, 2000));
    await source.commit('CREATE TABLE later (y); INSERT INTO later VALUES (1), (2)');
    await expectSame(source, copy, following);
    expect(copy.prepare('SELECT count(*) AS n FROM later').get()).toEqual({ n: 2 });
    expect(following.updates.every((update) => !update.isRebase)).toBe(true);
    copy.close();
    await following.follower.close();
    expect([existsSync(`${output}-wal`), existsSync(`${output}-shm`)]).toEqual([false, false]);
    const restored = await restore(source.client, { output: join(folder, 'restored.db') });
    expect(readFileSync(output).equals(readFileSync(restored.output))).toBe(true);
  });

  test('one transaction may need many segments of the index, and the log is emptied after it', async () => {
    const source = await replicatedSource(folder, { pageSize: 512 });
    const following = await follow(source.client);
    const copy = reader();
    copy.exec('BEGIN');
    expect(contentOf(copy)).toBe(contentOf(source.app));
    const before = contentOf(copy);
    await source.commit(rows(13_000, 400));
    expect(await following.follower.poll()).toBe(source.database.position.txid);
    expect(following.updates.at(-1)?.pageCount).toBeGreaterThan(2 * 4096 + 4062);
    // A snapshot stays what it was; whoever starts now sees the new state.
    expect(contentOf(copy)).toBe(before);
    expect(contentOf(reader())).toBe(contentOf(source.app));
    expect(statSync(`${output}-wal`).size).toBeGreaterThan(12_000 * 536);
    copy.exec('COMMIT');
    expect(contentOf(copy)).toBe(contentOf(source.app));
    // A second transaction goes on in the middle of a segment.
    await source.commit(rows(9, 400));
    await expectSame(source, copy, following);
    expect(statSync(`${output}-wal`).size).toBe(0);
    await source.commit(rows(9, 400));
    await expectSame(source, copy, following);
    await source.commit('UPDATE t SET x = randomblob(10) WHERE id % 7 = 0');
    await expectSame(source, copy, following);
  });

  test('catches up over many files at once', async () => {
    const source = await replicatedSource(folder);
    const following = await follow(source.client);
    for (let i = 0; i < 12; i++) await source.commit(`${rows(5, 500)}; DELETE FROM t WHERE id % 4 = ${i % 4}`);
    await expectSame(source, reader(), following);
    expect(following.updates).toEqual([
      { fromTxid: 1n, toTxid: 13n, isRebase: false, fileCount: 12, pageCount: expect.any(Number) },
    ]);
  });

  test('costs one listing per look while nothing happens', async () => {
    const calls: string[] = [];
    const client = new MemoryClient({ before: (operation, object) => void calls.push(`${operation} ${object}`) });
    const source = await replicatedSource(folder, { client });
    const { follower } = await follow(client);
    await follower.poll();
    calls.length = 0;
    for (let i = 0; i < 3; i++) await follower.poll();
    expect(calls).toEqual(['ltxFiles ltx/0/', 'ltxFiles ltx/0/', 'ltxFiles ltx/0/']);
    expect(source.database.position.txid).toBe(follower.position);
  });
});

describe('what is not right changes nothing', () => {
  test('a damaged file, until it is whole again', async () => {
    const source = await replicatedSource(folder);
    const following = await follow(source.client);
    const copy = reader();
    const before = contentOf(copy);
    await source.commit(rows(50, 3000));
    await source.commit(rows(50, 3000));
    const key = keyOf(2);
    const entry = source.client.store.entries.get(key);
    const bytes = Buffer.from(entry?.bytes ?? []);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    source.client.store.put(key, bytes, new Date());
    for (let i = 0; i < 2; i++) {
      const failure = following.follower.poll();
      await expect(failure).rejects.toMatchObject({ message: expect.stringContaining(key) });
    }
    expect(following.follower.position).toBe(1n);
    expect(contentOf(copy)).toBe(before);
    expect(contentOf(reader())).toBe(before);
    source.client.store.put(key, entry?.bytes ?? bytes, new Date());
    await expectSame(source, copy, following);
  });

  test('a damaged file, until a snapshot makes up for it', async () => {
    const source = await replicatedSource(folder);
    const following = await follow(source.client);
    const copy = reader();
    const before = contentOf(copy);
    await source.commit(rows(50, 3000));
    const bytes = Buffer.from(source.client.store.entries.get(keyOf(2))?.bytes ?? []);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    source.client.store.put(keyOf(2), bytes, new Date());
    await source.commit(rows(50, 3000));
    for (let i = 0; i < 2; i++) await expect(following.follower.poll()).rejects.toThrow(keyOf(2));
    expect(contentOf(copy)).toBe(before);
    await source.database.snapshot();
    await source.commit(rows(5, 300));
    await expectSame(source, copy, following);
    expect(following.updates.at(-1)).toMatchObject({ isRebase: true });
  });

  test('a follower that is stopped while it applies', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped by the test');
    let isArmed = false;
    const client = new MemoryClient({
      chunkSize: 4096,
      before: (operation) => {
        if (isArmed && operation === 'openLtxFile') stop.abort(reason);
      },
    });
    const source = await replicatedSource(folder, { client });
    const following = await follow(client);
    const copy = reader();
    const before = contentOf(copy);
    await source.commit(rows(500, 3000));
    isArmed = true;
    await expect(following.follower.poll({ signal: stop.signal })).rejects.toBe(reason);
    isArmed = false;
    expect(contentOf(copy)).toBe(before);
    await expectSame(source, copy, following);
  });

  test('a file that disappears between listing and reading', async () => {
    const source = await replicatedSource(folder);
    const following = await follow(source.client);
    await source.commit(rows(5, 100));
    await source.commit(rows(5, 100));
    const merged = source.client.store;
    let isGone = false;
    const client = new MemoryClient({
      store: merged,
      before: (operation, object) => {
        if (operation !== 'openLtxFile' || !object.includes(keyOf(2)) || isGone) return;
        isGone = true;
        const second = merged.entries.get(keyOf(2));
        // Compaction of one file alone: the same under a higher level.
        if (second !== undefined) merged.put(keyOf(2).replace('ltx/0', 'ltx/1'), second.bytes, second.time);
        merged.entries.delete(keyOf(2));
      },
    });
    await following.follower.close();
    const again = await follow(client);
    await expectSame(source, reader(), again);
    expect(isGone).toBe(true);
  });
});

describe('a copy whose place in the history is gone', () => {
  test('is compared with the newest snapshot, and only what differs is written', async () => {
    const source = await replicatedSource(folder);
    await source.commit(rows(400, 3000));
    const following = await follow(source.client);
    const copy = reader();
    await source.commit('UPDATE t SET x = randomblob(10) WHERE id = 7');
    await source.commit('UPDATE t SET x = randomblob(10) WHERE id = 9');
    await source.database.snapshot();
    for (let txid = 1; txid <= 4; txid++) source.client.store.entries.delete(keyOf(txid));
    // Level 0 alone shows nothing new: all levels are looked at when it does, and when a follower starts.
    await source.commit('UPDATE t SET x = randomblob(10) WHERE id = 11');
    await expectSame(source, copy, following);
    expect(following.updates).toHaveLength(1);
    expect(following.updates[0]).toMatchObject({ isRebase: true, fromTxid: 2n, toTxid: 5n });
    expect(following.updates[0]?.pageCount).toBeLessThan(20);
    await source.commit(rows(3, 10));
    await expectSame(source, copy, following);
    expect(following.updates[1]).toMatchObject({ isRebase: false });
  });

  test('follows a replica that was reset, once that is sure', async () => {
    const source = await replicatedSource(folder);
    for (let i = 0; i < 4; i++) await source.commit(rows(50, 300));
    const { follower } = await follow(source.client);
    expect(follower.position).toBe(5n);
    await follower.close();

    const other = join(folder, 'other');
    mkdirSync(other);
    const reset = await replicatedSource(other);
    await reset.commit(rows(7, 77));
    const again = await follow(reset.client);
    expect(again.follower.position).toBe(5n);
    const copy = reader();
    expect(contentOf(copy)).toBe(contentOf(source.app));
    await expectSame(reset, copy, again);
    expect(again.follower.position).toBe(2n);
    await reset.commit(rows(2, 5));
    await expectSame(reset, copy, again);
  });

  test('waits where a replica has a gap that nothing bridges', async () => {
    const source = await replicatedSource(folder);
    const following = await follow(source.client);
    await source.commit(rows(3, 30));
    const middle = contentOf(source.app);
    await source.commit(rows(3, 30));
    await source.commit(rows(3, 30));
    const lost = source.client.store.entries.get(keyOf(3));
    source.client.store.entries.delete(keyOf(3));
    expect(await following.follower.poll()).toBe(2n);
    const copy = reader();
    expect(contentOf(copy)).toBe(middle);
    source.client.store.put(keyOf(3), lost?.bytes ?? new Uint8Array(), lost?.time ?? new Date());
    await expectSame(source, copy, following);
  });
});

describe('somebody else writes to the copy', () => {
  test('what they wrote goes, and what they deleted comes back', async () => {
    const source = await replicatedSource(folder);
    await source.commit(rows(30, 300));
    const following = await follow(source.client);
    const copy = reader();
    const writer = reader({ readOnly: false });
    writer.exec('DELETE FROM t; CREATE TABLE foreign_table (y)');
    await expectSame(source, copy, following);
    expect(following.updates.at(-1)).toMatchObject({ isRebase: true });
    expect(copy.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'foreign_table'").get()).toEqual({
      n: 0,
    });
    writer.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    await source.commit(rows(30, 300));
    await expectSame(source, copy, following);
    expect(following.updates.at(-1)).toMatchObject({ isRebase: false });
  });

  test('two followers of one copy never tear it', async () => {
    const source = await replicatedSource(folder);
    const first = await follow(source.client);
    const second = await follow(source.client);
    const copy = reader();
    for (let i = 0; i < 6; i++) {
      await source.commit(`${rows(40, 500)}; UPDATE t SET x = randomblob(20) WHERE id % 5 = ${i % 5}`);
      await Promise.all([first.follower.poll(), second.follower.poll()]);
      expect(contentOf(copy)).toBe(contentOf(source.app));
    }
  });
});

describe('going on with a copy', () => {
  test('takes the position from the file beside it', async () => {
    const source = await replicatedSource(folder);
    await source.commit(rows(10, 100));
    const first = await follow(source.client);
    await first.follower.close();
    expect(readFileSync(`${output}-txid`, 'latin1')).toBe('0000000000000002\n');
    await source.commit(rows(10, 100));
    const second = await follow(source.client);
    await expectSame(source, reader(), second);
    expect(second.updates).toMatchObject([{ fromTxid: 2n, toTxid: 3n, isRebase: false }]);
    expect(readFileSync(`${output}-txid`, 'latin1')).toBe('0000000000000003\n');
  });

  test('ends at a whole state also where the file tells an earlier one', async () => {
    const source = await replicatedSource(folder);
    const first = await follow(source.client);
    for (let i = 0; i < 5; i++)
      await source.commit(`${rows(20, 200)}; UPDATE t SET x = randomblob(9) WHERE id % 3 = 0`);
    await first.follower.poll();
    await first.follower.close();
    // Killed after the transaction, before its number was written down.
    writeFileSync(`${output}-txid`, '0000000000000002\n');
    const copy = reader();
    const second = await follow(source.client);
    await expectSame(source, copy, second);
    expect(second.updates).toMatchObject([{ fromTxid: 2n, toTxid: 6n, fileCount: 4 }]);
  });

  test('without that file it is refused, or taken over', async () => {
    const source = await replicatedSource(folder);
    await source.commit(rows(10, 100));
    await restore(source.client, { output, txid: 1n });
    const before = readFileSync(output);
    const failure = Follower.open(source.client, { output });
    await expect(failure).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: expect.stringContaining('database exists but no -txid file found'),
    });
    expect(readFileSync(output).equals(before)).toBe(true);
    writeFileSync(`${output}-txid`, 'nonsense');
    await expect(Follower.open(source.client, { output })).rejects.toMatchObject({ code: 'DATABASE_INVALID' });
    const taken = await follow(source.client, { overwrite: true });
    await expectSame(source, reader(), taken);
    expect(taken.updates).toMatchObject([{ isRebase: true, toTxid: 2n }]);
  });

  test('one in rollback mode, as upstream leaves it, is one in WAL mode afterwards', async () => {
    const source = await replicatedSource(folder);
    await restore(source.client, { output });
    const converted = new DatabaseSync(output);
    converted.exec('PRAGMA journal_mode = delete');
    converted.close();
    writeFileSync(`${output}-txid`, '0000000000000001\n');
    await source.commit(rows(10, 1000));
    const following = await follow(source.client);
    await expectSame(source, reader(), following);
    expect(reader().prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
  });

  test('a copy that is removed or replaced under it ends it', async () => {
    const source = await replicatedSource(folder);
    const { follower } = await follow(source.client);
    renameSync(output, `${output}.moved`);
    await expect(follower.run(new AbortController().signal)).rejects.toMatchObject({ code: 'DATABASE_MISSING' });
    await follower.close();
    for (const suffix of ['-wal', '-shm', '-txid']) rmSync(output + suffix, { force: true });
    const again = await follow(source.client);
    await expectSame(source, reader(), again);
  });

  test('a file that is no database is not touched', async () => {
    const source = await replicatedSource(folder);
    writeFileSync(output, 'precious text, longer than nothing');
    writeFileSync(`${output}-txid`, '0000000000000001\n');
    for (const overwrite of [false, true]) {
      const failure = Follower.open(source.client, { output, overwrite });
      await expect(failure).rejects.toMatchObject({ code: 'DATABASE_INVALID' });
    }
    expect(readFileSync(output, 'utf8')).toContain('precious');
  });
});

test('run follows until it is told to stop, through failures', async () => {
  let failures = 0;
  const client = new MemoryClient({
    before: (operation) => {
      if (operation === 'ltxFiles' && failures > 0) {
        failures--;
        throw new Error('the replica is away');
      }
    },
  });
  const source = await replicatedSource(folder, { client });
  const following = await follow(client, { intervalMs: 2 });
  const stop = new AbortController();
  const running = following.follower.run(stop.signal);
  failures = 2;
  await source.commit(rows(10, 100));
  await until('the second transaction', () => following.follower.position === 2n);
  expect(failures).toBe(0);
  stop.abort();
  await running;
  expect(contentOf(reader())).toBe(contentOf(source.app));
});
