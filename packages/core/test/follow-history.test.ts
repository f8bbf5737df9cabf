/**
 * Is what a follower goes on from still what the replica's files continue? The replica may begin another history between
 * two looks, and after a kill the copy may hold a later transaction than its `-txid` file says.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { formatTxid, LtxDecoder, LtxEncoder } from '@litestream/ltx';
import { DB } from '../src/db/db.ts';
import { LitestreamError } from '../src/util/error.ts';
import { Follower } from '../src/follower/follower.ts';
import { Replica } from '../src/replica/replica.ts';
import { restore } from '../src/restore/restore.ts';
import { Compactor } from '../src/compaction/compactor.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { followed, replicatedSource } from './support/followed.ts';
import type { Following, Source } from './support/followed.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const root = temporaryFolder('follow-history');
let count = 0;
let folder = '';
let output = '';

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
  output = join(folder, 'copy.db');
});

const follow = (client: MemoryClient): Promise<Following> => followed(client, { output });

async function sourceIn(name: string, client: MemoryClient): Promise<Source> {
  const path = join(folder, name);
  mkdirSync(path);
  return await replicatedSource(path, { client });
}

/** Every row, so that no mixture of two states looks like either. */
function rowsOf(database: DatabaseSync): string {
  const check = database.prepare('PRAGMA integrity_check').get();
  return JSON.stringify([check, database.prepare('SELECT id, CAST(x AS TEXT) AS x FROM t ORDER BY id').all()]);
}

function copied(): string {
  const database = new DatabaseSync(output, { readOnly: true });
  try {
    return rowsOf(database);
  } finally {
    database.close();
  }
}

/** Rows large enough that each transaction changes a few pages of many. */
const fill = (n: number, letter: string): string =>
  `INSERT INTO t (x) SELECT printf('${letter}%0900d', i) FROM (WITH RECURSIVE s (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s LIMIT ${n}) SELECT i FROM s)`;
const set = (letter: string, ...ids: readonly number[]): string =>
  `UPDATE t SET x = printf('${letter}%0901d', id) WHERE id IN (${ids.join(', ')})`;

async function begunAnew(client: MemoryClient, old: Source): Promise<Source> {
  await old.database.stop();
  await client.deleteAll();
  const source = await sourceIn('anew', client);
  await source.commit(fill(100, 'b'));
  for (let id = 1; id <= 3; id++) await source.commit(set('c', id));
  return source;
}

function deleteLevel0(client: MemoryClient, upTo: bigint): void {
  for (const key of client.store.entries.keys()) {
    const max = /^ltx\/0\/[0-9a-f]{16}-([0-9a-f]{16})\.ltx$/.exec(key)?.[1];
    if (max !== undefined && BigInt(`0x${max}`) <= upTo) client.store.entries.delete(key);
  }
}

describe('a replica that starts from scratch and passes the position of the copy', () => {
  test.each(['between two looks', 'while nobody follows'])('%s is followed as it is now', async (when) => {
    const client = new MemoryClient();
    const old = await sourceIn('old', client);
    await old.commit(fill(100, 'a'));
    let following = await follow(client);
    expect(following.follower.position).toBe(2n);
    if (when === 'while nobody follows') await following.follower.close();
    const source = await begunAnew(client, old);
    if (when === 'while nobody follows') following = await follow(client);
    expect(await following.follower.poll()).toBe(5n);
    expect(copied()).toBe(rowsOf(source.app));
    expect(following.updates).toMatchObject([{ isRebase: true, toTxid: 5n }]);
    await source.commit(set('d', 50));
    expect(await following.follower.poll()).toBe(6n);
    expect(copied()).toBe(rowsOf(source.app));
    expect(following.updates.at(-1)).toMatchObject({ isRebase: false, fileCount: 1 });
  });

  test.each([false, true])(
    'and only reaches it is followed as it is now, without news, started again: %s',
    async (again) => {
      const client = new MemoryClient();
      const old = await sourceIn('old', client);
      await old.commit(fill(100, 'a'));
      let following = await follow(client);
      if (again) await following.follower.close();
      await old.database.stop();
      await client.deleteAll();
      const source = await sourceIn('anew', client);
      await source.commit(fill(100, 'b'));
      if (again) following = await follow(client);
      expect(await following.follower.poll()).toBe(2n);
      expect(copied()).toBe(rowsOf(source.app));
      expect(following.updates).toMatchObject([{ isRebase: true }]);
    },
  );

  test('and goes on from the number that the old one ended with is followed as it is now', async () => {
    const client = new MemoryClient();
    const old = await sourceIn('old', client);
    await old.commit(fill(100, 'a'));
    const { follower } = await follow(client);
    await old.database.stop();
    // Another database, which has as many transactions when it first meets the replica.
    let isAway = true;
    const late = new MemoryClient({
      store: client.store,
      before: () => {
        if (isAway) throw new LitestreamError('away', { code: 'NETWORK', retryable: false });
      },
    });
    const app = new DatabaseSync(join(folder, 'other.db'));
    app.exec('PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)');
    const db = new DB(join(folder, 'other.db'), { monitorIntervalMs: 0 });
    const replica = new Replica(late, db);
    onTestFinished(async () => {
      await db.close();
      app.close();
    });
    await db.open();
    await expect(replica.replicated()).rejects.toThrow('away');
    app.exec(fill(100, 'b'));
    await expect(replica.replicated()).rejects.toThrow('away');
    expect(db.position.txid).toBe(follower.position);
    isAway = false;
    await replica.replicated();
    app.exec(set('c', 77));
    await replica.replicated();
    expect(await follower.poll()).toBe(db.position.txid);
    expect(copied()).toBe(rowsOf(app));
  });

  test('is followed as it is now also where its files are merged by then', async () => {
    const client = new MemoryClient();
    const old = await sourceIn('old', client);
    await old.commit(fill(100, 'a'));
    const { follower, updates } = await follow(client);
    const source = await begunAnew(client, old);
    await new Compactor(client).compact(1);
    deleteLevel0(client, 4n);
    expect(await follower.poll()).toBe(5n);
    expect(copied()).toBe(rowsOf(source.app));
    expect(updates).toMatchObject([{ isRebase: true }]);
  });

  test('is not mixed in where it begins while the news are read', async () => {
    const client = new MemoryClient();
    const old = await sourceIn('old', client);
    await old.commit(fill(100, 'a'));
    const first = await follow(client);
    await first.follower.close();
    await old.commit(set('n', 1));
    let source: Source | undefined;
    let isArmed = false;
    const late = new MemoryClient({
      store: client.store,
      before: async (operation) => {
        if (operation !== 'openLtxFile' || !isArmed) return;
        isArmed = false;
        source = await begunAnew(client, old);
      },
    });
    isArmed = true;
    const { follower } = await follow(late);
    await follower.poll();
    expect(source).toBeDefined();
    expect(copied()).toBe(source && rowsOf(source.app));
  });
});

test.each([3n, 4n])(
  'a history whose last file was merged up to TXID %i and removed goes on without a comparison',
  async (upTo) => {
    const client = new MemoryClient();
    const source = await sourceIn('app', client);
    await source.commit(fill(100, 'a'));
    await source.commit(set('b', 1));
    const { follower, updates } = await follow(client);
    expect(follower.position).toBe(3n);
    if (upTo > 3n) await source.commit(set('c', 2));
    await new Compactor(client).compact(1);
    deleteLevel0(client, upTo);
    await source.commit(set('d', 3));
    expect(await follower.poll()).toBe(upTo + 1n);
    expect(copied()).toBe(rowsOf(source.app));
    expect(updates).toMatchObject([{ isRebase: false, fromTxid: 3n, toTxid: upTo + 1n }]);
  },
);

test('news cost one small read more than their files', async () => {
  const calls: string[] = [];
  const client = new MemoryClient({ before: (operation, object) => void calls.push(`${operation} ${object}`) });
  const source = await sourceIn('app', client);
  await source.commit(fill(10, 'a'));
  const { follower } = await follow(client);
  await source.commit(set('b', 1));
  await follower.poll();
  await source.commit(set('c', 1));
  calls.length = 0;
  expect(await follower.poll()).toBe(4n);
  const file = (txid: number): string =>
    `openLtxFile ltx/0/${`${txid}`.padStart(16, '0')}-${`${txid}`.padStart(16, '0')}.ltx`;
  expect(calls).toEqual(['ltxFiles ltx/0/', file(4), file(3)]);
});

/** A copy at TXID 2, three more transactions, and what the source held after each. */
async function fiveTransactions(): Promise<{ client: MemoryClient; source: Source; states: string[] }> {
  const client = new MemoryClient();
  const source = await sourceIn('app', client);
  await source.commit(fill(200, 'a'));
  const { follower } = await follow(client);
  await follower.close();
  const states = ['', '', rowsOf(source.app)];
  for (const ids of [[1], [1, 100], [1, 150]]) {
    await source.commit(set(String(states.length), ...ids));
    states.push(rowsOf(source.app));
  }
  return { client, source, states };
}

/** Hides what is newer, as a listing that lags does. The result shows it again. */
function hideAfter(client: MemoryClient, txid: bigint): () => void {
  const all = [...client.store.entries];
  for (const [key] of all) {
    const max = /-([0-9a-f]{16})\.ltx$/.exec(key)?.[1];
    if (max !== undefined && BigInt(`0x${max}`) > txid) client.store.entries.delete(key);
  }
  return () => {
    for (const [key, entry] of all) client.store.entries.set(key, entry);
  };
}

describe('a copy that may hold a later transaction than its file says', () => {
  test.each(['waits until they are listed again', 'is what the replica holds if they stay away'])(
    'killed between the two, with newer files not listed, %s',
    async (what) => {
      const { client, source, states } = await fiveTransactions();
      const before = readFileSync(`${output}-txid`);
      const first = await follow(client);
      expect(first.follower.position).toBe(5n);
      await first.follower.close();
      writeFileSync(`${output}-txid`, before);
      const showAll = hideAfter(client, 3n);
      const { follower } = await follow(client);
      expect(copied()).toBe(states[5]);
      if (what.startsWith('waits')) {
        showAll();
        expect(await follower.poll()).toBe(5n);
        expect(copied()).toBe(states[5]);
      } else {
        expect(await follower.poll()).toBe(3n);
        expect(copied()).toBe(states[3]);
        showAll();
      }
      await source.commit(set('x', 7));
      expect(await follower.poll()).toBe(6n);
      expect(copied()).toBe(rowsOf(source.app));
    },
  );

  test('killed before the transaction, it goes on from the state it was in', async () => {
    const { client, states } = await fiveTransactions();
    const saved = join(folder, 'saved.db');
    for (const suffix of ['', '-txid']) cpSync(output + suffix, saved + suffix);
    const first = await follow(client);
    await first.follower.close();
    // What was announced stays; the transaction never came.
    for (const suffix of ['', '-txid']) cpSync(saved + suffix, output + suffix);
    const showAll = hideAfter(client, 4n);
    const { follower } = await follow(client);
    expect([states[2], states[4]]).toContain(copied());
    expect(await follower.poll()).toBe(4n);
    expect(copied()).toBe(states[4]);
    showAll();
    expect(await follower.poll()).toBe(5n);
    expect(copied()).toBe(states[5]);
  });

  test('killed in a comparison of the whole database, it is compared again', async () => {
    const client = new MemoryClient();
    const old = await sourceIn('old', client);
    await old.commit(fill(100, 'a'));
    const first = await follow(client);
    const before = readFileSync(`${output}-txid`);
    const source = await begunAnew(client, old);
    await first.follower.poll();
    await first.follower.close();
    writeFileSync(`${output}-txid`, before);
    await source.commit(set('e', 9));
    const { follower, updates } = await follow(client);
    expect(follower.position).toBe(6n);
    expect(copied()).toBe(rowsOf(source.app));
    expect(updates).toMatchObject([{ isRebase: true }]);
  });

  test('whose number could not be written down is not taken for an earlier one', async () => {
    const { client, states } = await fiveTransactions();
    const follower = await Follower.open(client, { output });
    onTestFinished(() => follower.close());
    // Nothing can be written under this name, as on a full disk.
    mkdirSync(`${output}-txid.tmp`);
    await expect(follower.poll()).rejects.toThrow('copy.db-txid');
    removeFolder(`${output}-txid.tmp`, { force: true });
    expect(copied()).toBe(states[5]);
    const showAll = hideAfter(client, 3n);
    await follower.poll();
    expect(copied()).toBe(states[5]);
    showAll();
    expect(await follower.poll()).toBe(5n);
    expect(copied()).toBe(states[5]);
  });

  test.each(['2', '5'])('where the source went back to TXID 2 and another way, with %s in that file', async (says) => {
    const { client, source } = await fiveTransactions();
    const first = await follow(client);
    expect(first.follower.position).toBe(5n);
    await first.follower.close();
    writeFileSync(`${output}-txid`, `000000000000000${says}\n`);
    await source.database.stop();
    hideAfter(client, 2n);
    mkdirSync(join(folder, 'back'));
    await restore(client, { output: join(folder, 'back', 'app.db') });
    const back = await replicatedSource(join(folder, 'back'), { client });
    for (let id = 20; back.database.position.txid < 7n; id++) await back.commit(set('f', id));
    // The files both ways have in common are still there.
    expect(client.store.entries.has('ltx/0/0000000000000002-0000000000000002.ltx')).toBe(true);
    const { follower, updates } = await follow(client);
    expect(follower.position).toBe(7n);
    expect(copied()).toBe(rowsOf(back.app));
    expect(updates).toMatchObject([{ isRebase: true }]);
  });
});

describe('the files beside a copy', () => {
  test('go with a plain restore over it', async () => {
    const { client, states } = await fiveTransactions();
    const first = await follow(client);
    await first.follower.close();
    expect([existsSync(`${output}-txid`), existsSync(`${output}-txid-target`)]).toEqual([true, true]);
    await restore(client, { output, overwrite: true, txid: 3n });
    expect(copied()).toBe(states[3]);
    expect([existsSync(`${output}-txid`), existsSync(`${output}-txid-target`)]).toEqual([false, false]);
    await expect(Follower.open(client, { output })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    // Left beside nothing, they say nothing of what is restored there.
    for (const suffix of ['', '-wal', '-shm']) rmSync(output + suffix, { force: true });
    writeFileSync(`${output}-txid`, '0000000000000005\n');
    writeFileSync(`${output}-txid-target`, 'nonsense');
    await restore(client, { output, txid: 3n });
    expect([existsSync(`${output}-txid`), existsSync(`${output}-txid-target`)]).toEqual([false, false]);
  });

  test.each([undefined, 'nonsense'])('one that holds %s: the copy is right all the same', async (text) => {
    const { client, source } = await fiveTransactions();
    const first = await follow(client);
    await first.follower.close();
    if (text === undefined) rmSync(`${output}-txid-target`);
    else writeFileSync(`${output}-txid-target`, text);
    await source.commit(set('z', 5));
    const { follower, updates } = await follow(client);
    expect(follower.position).toBe(6n);
    expect(copied()).toBe(rowsOf(source.app));
    expect(updates).toMatchObject([{ isRebase: text !== undefined }]);
  });
});

/** The same file, but it states that it starts from another database. */
async function fromElsewhere(bytes: Uint8Array): Promise<Buffer> {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  const decoder = new LtxDecoder(source());
  const header = await decoder.header();
  const { extension } = header;
  if (extension === undefined) throw new Error('the file states nothing');
  const previousChecksumHigh = (extension.previousChecksumHigh ^ 1) >>> 0;
  const encoder = new LtxEncoder({ ...header, extension: { ...extension, previousChecksumHigh } });
  const parts = [encoder.begin().slice()];
  for await (const batch of decoder.batches()) parts.push(encoder.encodePages(batch.pgnos, batch.pages).slice());
  await decoder.finish();
  parts.push(encoder.finish().slice());
  return Buffer.concat(parts);
}

test('a file that starts from another database than the copy is not applied', async () => {
  const client = new MemoryClient();
  const source = await sourceIn('source', client);
  await source.commit(fill(100, 'a'));
  const { follower, updates } = await follow(client);
  await source.commit(set('b', 7));
  const txid = formatTxid(source.database.position.txid);
  const key = `ltx/0/${txid}-${txid}.ltx`;
  const entry = client.store.entries.get(key);
  if (entry === undefined) throw new Error(`there is no ${key}`);
  const right = entry.bytes;
  client.store.put(key, await fromElsewhere(right), new Date());
  await expect(follower.poll()).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
  expect(copied()).not.toBe(rowsOf(source.app));
  // With the correct file, the whole database is compared.
  client.store.put(key, right, new Date());
  await follower.poll();
  expect(copied()).toBe(rowsOf(source.app));
  expect(updates.at(-1)).toMatchObject({ isRebase: true });
});
