/** A replica that did not answer when the database was opened: what it turns out to hold, and what becomes of it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import type { TXID } from '@litestream/ltx';
import { DB } from '../src/db/db.ts';
import { LitestreamError } from '../src/util/error.ts';
import { Replica } from '../src/replica/replica.ts';
import { restore } from '../src/restore/restore.ts';
import { Compactor } from '../src/compaction/compactor.ts';
import { MemoryClient, Seeded } from '../src/testing/index.ts';
import { FakeClock } from './support/fake-clock.ts';
import { FakeDb } from './support/fake-db.ts';
import { contentOf, replicatedSource } from './support/followed.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { until } from '../../../tests/support/wait.ts';

const root = temporaryFolder('first-contact');
let count = 0;

interface Lab {
  readonly folder: string;
  readonly client: MemoryClient;
  /** Calls that wrote, by object. */
  readonly writes: string[];
  down: boolean;
}

function lab(): Lab {
  const folder = join(root, String(count++));
  const writes: string[] = [];
  const client = new MemoryClient({
    before: (operation, object) => {
      if (at.down) throw new LitestreamError('down', { code: 'NETWORK', retryable: true });
      if (operation === 'writeLtxFile') writes.push(object.replaceAll(/0{8,}/g, ''));
    },
  });
  const at: Lab = { folder, client, writes, down: false };
  return at;
}

/** A database with a history of its own: its pages differ from those of any other seed. */
function database({ folder }: Lab, name: string, seed: number, commits: number, pageCountMax?: number): FakeDb {
  const db = new FakeDb(join(folder, name), 60, new Seeded(seed), pageCountMax);
  for (let txid = 0; txid < commits; txid++) db.commit();
  return db;
}

async function restored(at: Lab, txid?: TXID): Promise<Buffer> {
  const output = join(at.folder, `out-${count++}.db`);
  await restore(at.client, { output, ...(txid === undefined ? {} : { txid }) });
  return readFileSync(output);
}

const stateOf = (db: FakeDb, txid: number): Buffer => Buffer.from(db.history.states[txid - 1] ?? []);

describe('a replica that answers only later', () => {
  test('holds nothing new: uploads go on where it ends', async () => {
    const at = lab();
    const db = database(at, 'db', 1, 5);
    await new Replica(at.client, db).sync();
    at.writes.length = 0;

    db.baseline = 5n;
    const replica = new Replica(at.client, db);
    db.commit();
    await replica.sync();
    expect(at.writes).toEqual(['ltx/0/6-6.ltx']);
    expect(replica.isKnown).toBe(true);
    expect((await restored(at)).equals(stateOf(db, 6))).toBe(true);
  });

  test.each([
    ['less than the database has now', 8, 12],
    ['as much as the database has now', 8, 8],
  ])('holds another history, %s: it gets a snapshot and goes on from it', async (_, theirs, ours) => {
    const at = lab();
    const before = database(at, 'before', 1, theirs);
    await new Replica(at.client, before).sync();

    // Lost with its local files, and begun anew while the replica was away.
    const db = database(at, 'after', 2, ours);
    db.baseline = 0n;
    const replica = new Replica(at.client, db);
    await replica.sync();
    // A file of every page is one more transaction.
    const whole = ours + 1;
    expect(replica.position).toEqual({ txid: BigInt(whole) });
    expect((await restored(at)).equals(stateOf(db, whole))).toBe(true);
    for (let more = 0; more < 3; more++) db.commit();
    await replica.sync();
    expect(replica.position).toEqual({ txid: BigInt(whole + 3) });
    for (const txid of [whole, whole + 1, whole + 3]) {
      expect((await restored(at, BigInt(txid))).equals(stateOf(db, txid))).toBe(true);
    }
    // What the replica had is still there, and nothing but all of a database was put behind it.
    expect((await restored(at, BigInt(theirs))).equals(stateOf(before, theirs))).toBe(true);
    // The next name is taken, by what changes nothing: whoever wrote there cannot go on.
    const claimed = whole > theirs + 1 ? theirs + 1 : theirs;
    expect((await restored(at, BigInt(claimed))).equals(stateOf(before, theirs))).toBe(true);
    for (let txid = claimed + 1; txid < whole; txid++) {
      await expect(restored(at, BigInt(txid))).rejects.toMatchObject({ code: expect.stringMatching(/TXID|GAP/) });
    }
  });

  test.each([
    ['as much as the database', 8, 8],
    ['one transaction less', 8, 9],
    ['much less', 8, 14],
  ])('holds another history, %s: compaction never mixes the two', async (_, theirs, ours) => {
    const at = lab();
    const before = database(at, 'before', 1, theirs, 50);
    await new Replica(at.client, before).sync();
    const db = database(at, 'after', 2, ours, 50);
    db.baseline = 0n;
    const replica = new Replica(at.client, db);
    await replica.sync();
    for (let more = 0; more < 2; more++) db.commit();
    await replica.sync();

    await new Compactor(at.client).compact(1);
    const newest = Number(db.position.txid);
    expect((await restored(at)).equals(stateOf(db, newest))).toBe(true);
    for (let txid = 1; txid <= newest; txid++) {
      const bytes = await restored(at, BigInt(txid)).catch(() => undefined);
      if (bytes === undefined) continue;
      const isClaim = txid === theirs + 1 && stateOf(before, theirs).equals(bytes);
      const isOneOfThem = isClaim || [before, db].some((each) => stateOf(each, txid).equals(bytes));
      expect(isOneOfThem, `txid ${txid}`).toBe(true);
    }
  });

  test('holds more than the database: nothing is written, and it is not known', async () => {
    const at = lab();
    await new Replica(at.client, database(at, 'before', 1, 20)).sync();
    at.writes.length = 0;
    const db = database(at, 'after', 2, 5);
    db.baseline = 0n;
    const replica = new Replica(at.client, db);
    await expect(replica.sync()).rejects.toMatchObject({ code: 'REPLICA_AHEAD' });
    expect(at.writes).toEqual([]);
    expect(replica.isKnown).toBe(false);
    // The database went on above it, as it does when it is opened anew.
    db.baseline = 20n;
    db.position = { txid: 20n };
    await replica.sync();
    expect(replica.isKnown).toBe(true);
  });

  test.each([1, 2, 3, 4])('a crash after write %i never leaves a history that is two in one', async (writeCount) => {
    const at = lab();
    const before = database(at, 'before', 1, 8);
    await new Replica(at.client, before).sync();
    at.writes.length = 0;
    const db = database(at, 'after', 2, 12);
    db.baseline = 0n;
    const dying = new MemoryClient({
      store: at.client.store,
      before: (operation) => {
        if (operation === 'writeLtxFile' && at.writes.push('') > writeCount) throw new Error('killed');
      },
    });
    await new Replica(dying, db).sync().catch(() => undefined);

    // The next process asks first, and finds what the first one sent.
    db.baseline = 12n;
    const next = new Replica(at.client, db);
    for (let more = 0; more < 2; more++) db.commit();
    await next.sync();
    for (let txid = 1; txid <= 14; txid++) {
      const bytes = await restored(at, BigInt(txid)).catch(() => undefined);
      if (bytes === undefined) continue;
      const states = [before, db].map((each) => stateOf(each, txid));
      // A claim, of either process, changes nothing of what it stands behind.
      if (txid === 9 || txid === 10) states.push(stateOf(before, 8));
      if (txid === 14) states.push(stateOf(db, 13));
      expect(
        states.some((state) => state.equals(bytes)),
        `txid ${txid}`,
      ).toBe(true);
    }
  });

  test('is asked again and again while it is down, at the pace of a failing replica', async () => {
    const at = lab();
    const clock = new FakeClock();
    const db = database(at, 'db', 1, 3);
    db.baseline = 3n;
    at.down = true;
    const replica = new Replica(at.client, db, { clock });
    replica.start();
    await clock.advance(60_000);
    expect(replica.isKnown).toBe(false);
    at.down = false;
    await clock.advance(120_000);
    expect(replica.position).toEqual({ txid: 3n });
    await replica.stop({ finalSync: false });
  });
});

describe('a replica that ends with a TXID whose local file is lost, and may be that of another database', () => {
  test.each([
    ['is gone', 0, 'gone'],
    ['is damaged', 0, 'damaged'],
    ['is gone', 2, 'gone'],
    ['is damaged', 2, 'damaged'],
  ])('%s, with %i behind it: the two are not mixed', async (_, behind, how) => {
    for (const hasStarted of [false, true]) {
      const at = lab();
      const before = database(at, 'before', 1, 8, 50);
      await new Replica(at.client, before).sync();
      const db = database(at, 'after', 2, 8 + behind, 50);
      db.baseline = 8n;
      if (how === 'gone') db.lose(8n);
      else writeFileSync(db.pathOf(8n), 'x'.repeat(300));
      const replica = new Replica(at.client, db);
      // A round acknowledges nothing, but what it sends is what a restore gets.
      if (hasStarted) {
        replica.start();
        await until('the replica has caught up', () => replica.position.txid === db.position.txid && replica.isKnown);
      }
      for (let more = 0; more < 2; more++) {
        db.pending = 1;
        await replica.replicated();
        expect((await restored(at)).equals(stateOf(db, Number(db.position.txid)))).toBe(true);
      }
      await replica.stop({ finalSync: false });
      await new Compactor(at.client).compact(1);
      expect((await restored(at)).equals(stateOf(db, Number(db.position.txid)))).toBe(true);
      expect((await restored(at, 8n)).equals(stateOf(before, 8))).toBe(true);
    }
  });

  test('the next transaction holds every page: it takes the place of what is there, and is not made again', async () => {
    const at = lab();
    const before = database(at, 'before', 1, 8, 50);
    await new Replica(at.client, before).sync();
    const db = database(at, 'after', 2, 8, 50);
    db.baseline = 8n;
    db.lose(8n);
    await db.syncWhole();
    const replica = new Replica(at.client, db);
    await replica.replicated();
    expect(db.position).toEqual({ txid: 9n });
    expect((await restored(at)).equals(stateOf(db, 9))).toBe(true);
    expect((await restored(at, 8n)).equals(stateOf(before, 8))).toBe(true);
    db.pending = 1;
    await replica.replicated();
    await new Compactor(at.client).compact(1);
    expect((await restored(at)).equals(stateOf(db, 10))).toBe(true);
  });
});

test('a database with the local files of another replica, one transaction past its end: compaction mixes nothing', async () => {
  const folders = ['theirs', 'ours', 'out'].map((name) => join(root, name));
  for (const folder of folders) mkdirSync(folder);
  const [theirFolder = '', folder = '', out = ''] = folders;
  const client = new MemoryClient();
  const theirs = await replicatedSource(theirFolder, { client });
  const ours = await replicatedSource(folder, { client: new MemoryClient() });
  const fill = (letter: string): string =>
    `WITH RECURSIVE s (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s LIMIT 100) INSERT INTO t (x) SELECT printf('${letter}%0900d', i) FROM s`;
  await theirs.commit(fill('a'));
  await ours.commit(fill('b'));
  for (let row = 1; row < 6; row++) await theirs.commit(`UPDATE t SET x = printf('a%0901d', 0) WHERE id = ${row}`);
  const end = theirs.database.position.txid;
  // A row that is given the value that it has changes no page, and makes no transaction.
  for (let value = 1; ours.database.position.txid < end && value < 20; value++) {
    await ours.commit(`UPDATE t SET x = printf('b%0901d', ${value}) WHERE id = 1`);
  }
  expect(ours.database.position.txid).toBe(end);
  await theirs.database.stop();
  await ours.database.stop();

  await using db = new DB(join(folder, 'app.db'), { monitorIntervalMs: 0 });
  const replica = new Replica(client, db);
  await db.open({ history: replica });
  for (let row = 2; row < 4; row++) {
    ours.app.exec(`UPDATE t SET x = printf('b%0901d', 2) WHERE id = ${row}`);
    await replica.replicated();
  }
  await new Compactor(client).compact(1);
  const output = join(out, 'app.db');
  await restore(client, { output });
  using restoredDb = new DatabaseSync(output);
  const letters = restoredDb.prepare('SELECT group_concat(DISTINCT substr(x, 1, 1)) AS letters FROM t').get();
  expect(letters).toEqual({ letters: 'b' });
  expect(contentOf(restoredDb)).toBe(contentOf(ours.app));
});
