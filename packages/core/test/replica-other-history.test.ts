/** A replica that turns out to hold the history of another database, while it is the only one and answers. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import type { TXID } from '@litestream/ltx';
import { DB } from '../src/db/db.ts';
import { LitestreamError } from '../src/util/error.ts';
import { Replica } from '../src/replica/replica.ts';
import { restore } from '../src/restore/restore.ts';
import { LocalLevel0 } from '../src/retention/local-level0.ts';
import { StoredReplica } from '../src/maintenance/stored-replica.ts';
import { MemoryClient, Seeded } from '../src/testing/index.ts';
import type { MemoryClientOptions } from '../src/testing/index.ts';
import { FakeDb } from './support/fake-db.ts';
import { replicatedSource } from './support/followed.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('other-history');
let count = 0;

/** Two databases of the same number of transactions, all of the same size: only what their rows begin with tells. */
async function twins(): Promise<{ folder: string; end: TXID; app: DatabaseSync; theirs: MemoryClient }> {
  const theirFolder = join(root, String(count++));
  const folder = join(root, String(count++));
  for (const each of [theirFolder, folder]) mkdirSync(each);
  const client = new MemoryClient();
  const theirs = await replicatedSource(theirFolder, { client });
  const ours = await replicatedSource(folder, { client: new MemoryClient() });
  const value = (letter: string, number: string): string => `printf('${letter}%0900d', ${number})`;
  for (const [source, letter] of [
    [theirs, 'a'],
    [ours, 'b'],
  ] as const) {
    await source.commit(
      `WITH RECURSIVE s (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s LIMIT 50) INSERT INTO t (x) SELECT ${value(letter, 'i')} FROM s`,
    );
    for (let row = 1; row < 6; row++) await source.commit(`UPDATE t SET x = ${value(letter, '0')} WHERE id = ${row}`);
    await source.database.stop();
  }
  const end = theirs.database.position.txid;
  expect(ours.database.position.txid).toBe(end);
  return { folder, end, app: ours.app, theirs: client };
}

/** First letters of all rows of the replica at a transaction. */
async function lettersAt(client: MemoryClient, txid?: TXID): Promise<unknown> {
  const output = join(root, `out-${count++}.db`);
  await restore(client, { output, ...(txid === undefined ? {} : { txid }) });
  using database = new DatabaseSync(output);
  return database.prepare('SELECT group_concat(DISTINCT substr(x, 1, 1)) AS letters FROM t').get()?.['letters'];
}

const sharing = ({ store }: MemoryClient, before: MemoryClientOptions['before']): MemoryClient =>
  new MemoryClient({ store, before });

test('a replica with the history of another database of the same length is not taken for one that has all', async () => {
  const { folder, end, theirs } = await twins();
  await using db = new DB(join(folder, 'app.db'), { monitorIntervalMs: 0 });
  const replica = new Replica(theirs, db);
  const confirmed: TXID[] = [];
  replica.onUpload(({ txid }) => void confirmed.push(txid));
  await db.open({ history: replica });
  // No commit: both end with the same number.
  await replica.replicated();
  expect(await lettersAt(theirs)).toBe('b');
  expect(await lettersAt(theirs, end)).toBe('a');
  expect(confirmed).toEqual([end + 1n]);
});

test('what a replica holds of another database is compacted as it is, whenever the store has its turn', async () => {
  const { folder, end, app, theirs } = await twins();
  let turns = 0;
  const client = sharing(theirs, async (operation, object) => {
    if (operation !== 'writeLtxFile' || !object.includes('/0/')) return;
    turns += 1;
    await stored.compact({ level: 1, intervalMs: 1 });
  });
  await using db = new DB(join(folder, 'app.db'), { monitorIntervalMs: 0 });
  const replica = new Replica(client, db);
  const stored = new StoredReplica(replica, {
    levels: [{ level: 1, intervalMs: 1 }],
    snapshotIntervalMs: 60_000,
    snapshotRetentionMs: 60_000,
    level0RetentionMs: 60_000,
    retentionEnabled: false,
    verifyCompaction: false,
    local: new LocalLevel0(db.localLtx(0)).forReplica(),
  });
  await db.open({ history: replica });
  stored.begin();
  app.exec(`INSERT INTO t (x) VALUES ('b')`);
  await replica.replicated();
  expect(turns).toBeGreaterThan(0);
  // As after the retention of level 0.
  for (const key of theirs.store.keys('ltx/0/')) theirs.store.entries.delete(key);
  expect(await lettersAt(theirs, end)).toBe('a');
  expect(await lettersAt(theirs)).toBe('b');
});

test.each([
  ['that was away when the database was opened', 0n],
  ['that was not', 12n],
])(
  'a replica with another history, %s, gets every page once, however often its snapshot fails',
  async (_, baseline) => {
    const theirs = new MemoryClient();
    const database = (seed: number, commits: number): FakeDb => {
      const db = new FakeDb(join(root, String(count++)), 60, new Seeded(seed));
      for (let txid = 0; txid < commits; txid++) db.commit();
      return db;
    };
    await new Replica(theirs, database(1, 8)).sync();
    const writes: string[] = [];
    let failures = 5;
    const client = sharing(theirs, (operation, object) => {
      if (operation !== 'writeLtxFile') return;
      if (object.includes('/9/') && failures-- > 0)
        throw new LitestreamError('no', { code: 'NETWORK', retryable: true });
      writes.push(object.replaceAll(/0{8,}/g, ''));
    });
    const db = database(2, 12);
    db.baseline = baseline;
    const replica = new Replica(client, db);
    for (let round = 0; round < 5; round++) {
      await expect(replica.sync()).rejects.toMatchObject({ code: 'NETWORK' });
      expect(replica.position).toEqual({ txid: 0n });
    }
    await replica.sync();
    expect(writes).toEqual(['ltx/0/9-9.ltx', 'ltx/0/d-d.ltx', 'ltx/9/1-d.ltx']);
    expect(replica.position).toEqual({ txid: 13n });
    // Those that another replica may still need are there.
    expect(
      db
        .localLtx()
        .list()
        .map(({ maxTxid }) => maxTxid),
    ).toEqual([9n, 10n, 11n, 12n, 13n]);
  },
);

test('a replica whose newest file was deleted after the database was opened is asked again', async () => {
  const { folder, end, app, theirs } = await twins();
  await using db = new DB(join(folder, 'app.db'), { monitorIntervalMs: 0 });
  const replica = new Replica(theirs, db);
  await db.open({ history: replica });
  await theirs.deleteLtxFiles([{ level: 0, minTxid: end, maxTxid: end }]);
  // More than one, so that the whole database does not follow the files of the replica without a gap.
  for (let row = 1; row < 3; row++) {
    app.exec(`UPDATE t SET x = 'b' WHERE id = ${row}`);
    await db.sync();
  }
  await replica.replicated();
  expect(await lettersAt(theirs)).toBe('b');
});
