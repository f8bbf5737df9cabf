/** What applications do to a database under `litestream replicate`, a process of its own, and what a restore makes of it. */
import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FileClient, guardClient, restore } from '@litestream/core';
import { describe, expect, test } from 'vitest';
import type { Child } from '../support/child.ts';
import { tsProgram, writeConfig } from '../support/programs.ts';
import { levelFiles, levelMaxTxid } from '../support/replica-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { copyV3Fixture, loadV3Fixtures } from '../support/v3-fixture.ts';
import { pause, until } from '../support/wait.ts';

const program = tsProgram();

interface Place {
  readonly folder: string;
  readonly database: string;
  readonly replica: string;
}

function placeIn(folder: string, name = 'app', replica = 'replica'): Place {
  return { folder, database: join(folder, `${name}.db`), replica: join(folder, replica) };
}

/** An application that leaves checkpoints to Litestream, unless it makes its own. */
function openApp(path: string, setup: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 30_000 });
  database.exec(`PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = on; ${setup}`);
  return database;
}

async function replicate(place: Place, extra: { readonly minCheckpointPageCount?: number } = {}): Promise<Child> {
  const config = await writeConfig(`${place.database}.yml`, { ...place, ...extra });
  const daemon = program.replicate(config);
  await until('the first file on the replica', async () => (await levelFiles(place.replica, 0)).length > 0, {
    failed: () => (daemon.exit === undefined ? undefined : daemon.output),
  });
  return daemon;
}

/** Stops it and restores: the same rows as in the database, nothing torn, and no complaint on the way. */
async function expectRestored(place: Place, daemon: Child): Promise<void> {
  await daemon.stop();
  expect(daemon.output).not.toMatch(/level=(WARN|ERROR)/);
  expect(await restored(place)).toEqual(contentOf(place.database));
}

async function restored({ folder, replica }: Place, timestamp?: Date): Promise<Content> {
  const output = join(folder, `restored-${Math.random().toString(36).slice(2)}.db`);
  await restore(guardClient(new FileClient({ path: replica })), { output, timestamp });
  return contentOf(output);
}

interface Content {
  readonly integrity: unknown;
  readonly foreignKeys: unknown;
  /** Rows and their hash, by table. */
  readonly tables: Readonly<Record<string, string>>;
}

function contentOf(path: string): Content {
  using database = new DatabaseSync(path);
  const names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
  const tables = names.map(({ name }) => {
    const hash = createHash('sha256');
    let count = 0;
    for (const row of database.prepare(`SELECT * FROM "${String(name)}" ORDER BY rowid`).iterate()) {
      for (const value of Object.values(row)) hash.update(value instanceof Uint8Array ? value : String(value));
      count += 1;
    }
    return [String(name), `${count} rows ${hash.digest('hex')}`];
  });
  return {
    integrity: database.prepare('PRAGMA integrity_check').all()[0]?.['integrity_check'],
    foreignKeys: database.prepare('PRAGMA foreign_key_check').all(),
    tables: Object.fromEntries(tables) as Record<string, string>,
  };
}

const SHOP = `
  CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customers ON DELETE CASCADE, note TEXT);
  CREATE TABLE items (id INTEGER PRIMARY KEY, "order" INTEGER NOT NULL REFERENCES orders ON DELETE CASCADE, blob BLOB);
  CREATE INDEX orders_by_customer ON orders (customer);
  CREATE INDEX items_by_order ON items ("order")`;

describe.concurrent('scenarios', () => {
  test('integrity with foreign keys: parents go, and their children with them, while it replicates', async () => {
    await using folder = await temporaryFolder('scenario');
    const place = placeIn(folder.path);
    using app = openApp(place.database, SHOP);
    await using daemon = await replicate(place);
    for (let id = 1; id <= 40; id += 1) {
      app.exec(`BEGIN; INSERT INTO customers VALUES (${id}, 'customer ${id}')`);
      for (let order = id * 10; order < id * 10 + 3; order += 1) {
        app.exec(`INSERT INTO orders VALUES (${order}, ${id}, hex(randomblob(50)));
          INSERT INTO items ("order", blob) VALUES (${order}, randomblob(300)), (${order}, randomblob(30))`);
      }
      app.exec('COMMIT');
      if (id % 3 === 0) app.exec(`DELETE FROM customers WHERE id = ${id - 1}`);
      await pause(5, 'the daemon gets its turn');
    }
    await expectRestored(place, daemon);
    expect(contentOf(place.database)).toMatchObject({ integrity: 'ok', foreignKeys: [] });
  });

  test('deletion under replication: rows in batches, a whole table, then the free pages', async () => {
    await using folder = await temporaryFolder('scenario');
    const place = placeIn(folder.path);
    using app = openApp(
      place.database,
      'PRAGMA auto_vacuum = incremental; VACUUM; CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE TABLE gone (a)',
    );
    await using daemon = await replicate(place);
    app.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO t SELECT i, randomblob(400) FROM n; INSERT INTO gone SELECT a FROM t`);
    for (let batch = 0; batch < 10; batch += 1) {
      app.exec(`DELETE FROM t WHERE id % 10 = ${batch} AND id % 7 <> 0`);
      await pause(10, 'the daemon gets its turn');
    }
    app.exec('DROP TABLE gone');
    app.exec('PRAGMA incremental_vacuum');
    await expectRestored(place, daemon);
    expect(Object.keys(contentOf(place.database).tables)).not.toContain('gone');
  });

  test('rapid checkpoints by the application, of all four kinds: no commit and no snapshot too many', async () => {
    await using folder = await temporaryFolder('scenario');
    const place = placeIn(folder.path);
    using app = openApp(place.database, 'CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
    await using daemon = await replicate(place);
    const kinds = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;
    for (let round = 0; round < 120; round += 1) {
      app.exec('INSERT INTO t (a) VALUES (randomblob(200))');
      // One that meets our read transaction is busy; how often that is, is not what counts.
      app.exec('PRAGMA busy_timeout = 1');
      app.prepare(`PRAGMA wal_checkpoint(${kinds[round % 4] ?? 'PASSIVE'})`).all();
      app.exec('PRAGMA busy_timeout = 30000');
      if (round % 5 === 0) await pause(10, 'the daemon gets its turn');
    }
    // The store takes it when the first file is there, which on a busy machine may be later than all of this.
    await until('the snapshot', async () => (await levelFiles(place.replica, 9)).length > 0);
    await expectRestored(place, daemon);
    expect(await levelFiles(place.replica, 9)).toHaveLength(1);
  });

  test('a write transaction of 500 rows that is held open: all of it or nothing, and no error meanwhile', async () => {
    await using folder = await temporaryFolder('scenario');
    const place = placeIn(folder.path);
    using app = openApp(place.database, 'CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t (a) VALUES (1)');
    await using daemon = await replicate(place, { minCheckpointPageCount: 20 });
    app.exec('BEGIN IMMEDIATE; PRAGMA cache_size = 10; PRAGMA cache_spill = 10');
    const insert = app.prepare('INSERT INTO t (a) VALUES (randomblob(2000))');
    for (let row = 0; row < 500; row += 1) {
      insert.run();
      // Frames without a commit are in the log by now, and the daemon has looked at it many times.
      if (row % 25 === 0) await pause(25, 'the daemon looks at what has no commit yet');
    }
    expect((await restored(place)).tables['t']).toMatch(/^1 rows /);
    app.exec('COMMIT');
    await expectRestored(place, daemon);
    expect(contentOf(place.database).tables['t']).toMatch(/^501 rows /);
  });

  test('growth of the log: an application that never checkpoints does not fill the disk', async () => {
    await using folder = await temporaryFolder('scenario');
    const place = placeIn(folder.path);
    using app = openApp(place.database, 'CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
    await using daemon = await replicate(place, { minCheckpointPageCount: 100 });
    const insert = app.prepare('INSERT INTO t (a) VALUES (randomblob(20000))');
    const logSize = (): number => statSync(`${place.database}-wal`).size;
    // The file never shrinks by itself: written over from its start, it falls behind what was written to it.
    let written = 0;
    while (written < 500 || logSize() > (written * 20_000) / 2) {
      for (let count = 0; count < 10; count += 1) insert.run();
      written += 10;
      expect(written).toBeLessThan(10_000);
      await pause(10, 'the daemon gets its turn');
      // From here on no faster than a daemon on a busy machine.
      if (written < 500) continue;
      const before = await levelMaxTxid(place.replica);
      insert.run();
      await until('the next file', async () => (await levelMaxTxid(place.replica)) > before);
    }
    await expectRestored(place, daemon);
  });

  test('three daemons at once, each with its database, in one folder of replicas', async () => {
    await using folder = await temporaryFolder('scenario');
    const places = ['one', 'two', 'three'].map((name) => placeIn(folder.path, name, join('replicas', name)));
    const apps = places.map(({ database }) => openApp(database, 'CREATE TABLE t (id INTEGER PRIMARY KEY, a)'));
    await using running = new AsyncDisposableStack();
    const daemons = await Promise.all(places.map(async (place) => running.use(await replicate(place))));
    for (let round = 0; round < 60; round += 1) {
      for (const app of apps) app.exec('INSERT INTO t (a) VALUES (randomblob(300))');
      await pause(5, 'the daemons get their turns');
    }
    for (const [index, place] of places.entries()) {
      const daemon = daemons[index];
      if (daemon === undefined) throw new Error('a daemon is gone');
      await expectRestored(place, daemon);
    }
    for (const app of apps) app.close();
    expect(readdirSync(join(folder.path, 'replicas')).sort()).toEqual(['one', 'three', 'two']);
  });

  test('upgrade from v0.3: the old layout stays beside ours, and both restore', async () => {
    await using folder = await temporaryFolder('scenario');
    const place = placeIn(folder.path);
    const fixture = (await loadV3Fixtures()).find(({ name }) => name === 'one-log');
    if (fixture === undefined) throw new Error('the fixture one-log is gone');
    await copyV3Fixture(fixture, place.replica);
    const old = await restored(place);
    await restore(guardClient(new FileClient({ path: place.replica })), { output: place.database });
    const before = fixture.expected.files.map(({ path }) => statSync(join(place.replica, path)).size);

    using app = openApp(place.database, 'CREATE TABLE new_with_05 (a)');
    await using daemon = await replicate(place);
    app.exec('INSERT INTO new_with_05 VALUES (1), (2)');
    await expectRestored(place, daemon);
    expect(readdirSync(place.replica).sort()).toEqual(['generations', 'ltx']);
    expect(fixture.expected.files.map(({ path }) => statSync(join(place.replica, path)).size)).toEqual(before);
    const lastOfOld = Math.max(...fixture.expected.files.map(({ timeMs }) => timeMs));
    expect(await restored(place, new Date(lastOfOld))).toEqual(old);
  });
});
