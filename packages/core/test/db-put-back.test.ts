/**
 * Files put back from an older copy (a VM snapshot, a copied volume), after which the application commits as often as
 * before: another timeline under the same salts, of the same length, with the same last page.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileClient, Replica, guardClient, restore } from '../src/index.ts';
import type { DB } from '../src/index.ts';
import { until } from '../../../tests/support/wait.ts';
import { Lab, compare, drivers } from './helpers/db-lab.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

/** In a process of its own, which ends without closing: the WAL stays. */
function write(lab: Lab, sql: readonly string[]): void {
  const script =
    "const {DatabaseSync}=require('node:sqlite');const d=new DatabaseSync(process.argv[1]);" +
    "d.exec('PRAGMA wal_autocheckpoint=0');for(const s of JSON.parse(process.argv[2]))d.exec(s);process.kill(process.pid,'SIGKILL')";
  spawnSync(process.execPath, ['--no-warnings', '-e', script, lab.path, JSON.stringify(sql)]);
}

/** By another process: closing a descriptor of the database in this one would drop SQLite's locks. */
function copy(from: string, to: string): void {
  const result = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(result.stderr);
}

const FILES = ['app.db', 'app.db-wal', '.app.db-litestream'];

describe.each(drivers)('an older copy put back, with $name', (driver) => {
  it.each([
    ['database and WAL', ['app.db', 'app.db-wal']],
    ['database, WAL and metadata', FILES],
  ])('%s: is not taken for the WAL that was read', async (_what, putBack) => {
    await using lab = new Lab(driver);
    const saved = join(lab.folder, 'saved');
    const client = guardClient(new FileClient({ path: join(lab.folder, 'replica') }));
    const start = async (): Promise<[DB, Replica]> => {
      const db = lab.db();
      const replica = new Replica(client, db, { logger: lab.logger });
      await db.open({ history: replica });
      await replica.replicated();
      return [db, replica];
    };
    lab.closeApp(lab.app());
    write(lab, [
      'CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)',
      'CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT)',
      "INSERT INTO a VALUES (1, 'begin')",
      'INSERT INTO b VALUES (1, 0)',
    ]);
    const [db, replica] = await start();
    spawnSync('mkdir', [saved]);
    for (const name of FILES) copy(join(lab.folder, name), saved);
    write(lab, ["BEGIN; UPDATE a SET v = 'one'; UPDATE b SET v = 1; COMMIT"]);
    await replica.replicated();
    const before = replica.position.txid;
    await db.close();

    for (const name of ['app.db', 'app.db-wal', 'app.db-shm']) rmSync(join(lab.folder, name), { force: true });
    if (putBack.includes('.app.db-litestream')) removeFolder(db.metaPath);
    for (const name of putBack) copy(join(saved, name), lab.folder);
    write(lab, ["BEGIN; UPDATE a SET v = 'two'; UPDATE b SET v = 1; COMMIT"]);
    const [, again] = await start();
    expect(again.position.txid).toBeGreaterThan(before);
    const output = join(lab.folder, 'restored.db');
    await restore(client, { output });
    compare(readFileSync(output), lab.source());
  });

  it('not written to since: is not taken for the newer state', async () => {
    await using lab = new Lab(driver);
    const saved = join(lab.folder, 'saved');
    lab.closeApp(lab.app());
    write(lab, ['CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)', "INSERT INTO a VALUES (1, 'begin')"]);
    const db = lab.db();
    await db.open();
    await db.sync();
    spawnSync('mkdir', [saved]);
    for (const name of ['app.db', 'app.db-wal']) copy(join(lab.folder, name), saved);
    write(lab, ["UPDATE a SET v = 'one'"]);
    await db.sync();
    await db.close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(lab.path + suffix, { force: true });
    for (const name of ['app.db', 'app.db-wal']) copy(join(saved, name), lab.folder);
    const again = lab.db();
    await again.open();
    await again.sync();
    expect(lab.snapshots().length).toBe(2);
    await lab.verify();
  });

  it('a file at rest that was replaced by an older copy is not taken for the one that was left', async () => {
    await using lab = new Lab(driver);
    const app = lab.app(['CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)']);
    const db = lab.db();
    await db.open();
    await db.sync();
    const saved = join(lab.folder, 'saved.db');
    app.exec(`VACUUM INTO '${saved}'`);
    app.exec("INSERT INTO a VALUES (1, 'later')");
    await db.sync();
    lab.closeApp(app);
    await db.close();
    expect(existsSync(`${lab.path}-wal`)).toBe(false);
    spawnSync('cp', [saved, lab.path]);
    const again = lab.db();
    await again.open();
    await again.sync();
    expect(lab.snapshots().length).toBe(2);
    await lab.verify();
  });
});

/** Closes while another process, which is killed then, holds the write lock: the WAL stays, as where Litestream is killed. */
async function closeBesideWriter(lab: Lab, db: DB): Promise<void> {
  const script =
    "const {DatabaseSync}=require('node:sqlite');const d=new DatabaseSync(process.argv[1]);" +
    "d.exec('BEGIN IMMEDIATE');console.log('ready');setInterval(()=>{},1e6)";
  const holder = spawn(process.execPath, ['--no-warnings', '-e', script, lab.path]);
  const exited = once(holder, 'exit');
  await once(holder.stdout, 'data');
  await db.close();
  holder.kill('SIGKILL');
  await exited;
}

const TABLES = [
  'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)',
  'CREATE TABLE w (id INTEGER PRIMARY KEY, v TEXT)',
  "INSERT INTO t VALUES (1, 'monday'), (2, 'monday')",
  'INSERT INTO w VALUES (1, 1)',
];
const TUESDAY = "UPDATE t SET v = 'tuesday'";

/**
 * An older database file below a WAL that stayed. The pages that moved from the WAL are equal in both, so the start goes on from the
 * WAL. Another page differs.
 */
async function putEqualMovesBack(lab: Lab): Promise<void> {
  const monday = join(lab.folder, 'monday.db');
  lab.closeApp(lab.app(TABLES));
  const db = lab.db();
  await db.open();
  await db.sync();
  await db.checkpoint('PASSIVE');
  copy(lab.path, monday);
  write(lab, [TUESDAY]);
  await db.sync();
  await db.checkpoint('PASSIVE');
  // The page is written again as it was.
  write(lab, ["BEGIN; UPDATE w SET v = '2'; UPDATE w SET v = '1'; COMMIT"]);
  await db.sync();
  await db.checkpoint('PASSIVE');
  await closeBesideWriter(lab, db);
  spawnSync('cp', [monday, lab.path]);
}

describe.each(drivers)('a database file put under a WAL that stayed, with $name', (driver) => {
  it.each([
    ['cp', 'all of the WAL was in the file'],
    ['cp', 'none of the WAL was in the file'],
    ['mv', 'all of the WAL was in the file'],
  ])('by %s, %s: is not taken for the one that was replicated', async (way, what) => {
    await using lab = new Lab(driver);
    const monday = join(lab.folder, 'monday.db');
    lab.closeApp(lab.app(TABLES));
    copy(lab.path, monday);
    write(lab, [TUESDAY]);
    const db = lab.db();
    await db.open();
    await db.sync();
    await db.checkpoint('PASSIVE');
    write(lab, ['INSERT INTO w VALUES (2, 2)']);
    await db.sync();
    if (what.startsWith('all')) await db.checkpoint('PASSIVE');
    await closeBesideWriter(lab, db);

    // In place, or by another file of the same name.
    if (way === 'cp') spawnSync('cp', [monday, lab.path]);
    else spawnSync('mv', [monday, lab.path]);
    write(lab, ['INSERT INTO w VALUES (3, 3)']);
    const again = lab.db();
    await again.open();
    await again.sync();
    expect(lab.snapshots().length).toBe(2);
    await lab.verify();
  });

  it('is found by a comparison of all pages, if what the WAL moved equals the older copy', async () => {
    await using lab = new Lab(driver);
    await putEqualMovesBack(lab);
    const again = lab.db({ monitorIntervalMs: 20, syncIntervalMs: 20 });
    await again.open();
    again.start();
    await until('the older copy in the level-0 files', async () => (await lab.rebuild()).equals(lab.source()));
    await until('no comparison is due', () => !again.status().isComparisonDue);
    await again.stop();
    await expect(lab.verify()).resolves.toBeUndefined();
  });

  it.each([
    ['a clean stop', (_lab: Lab, db: DB) => db.close()],
    ['a kill', (lab: Lab, db: DB) => closeBesideWriter(lab, db)],
  ])('is still to be compared after %s before the end of the comparison', async (_what, stop) => {
    await using lab = new Lab(driver);
    await putEqualMovesBack(lab);
    const first = lab.db();
    await first.open();
    await first.sync();
    expect(first.status().isComparisonDue).toBe(true);
    write(lab, ['INSERT INTO w VALUES (9, 9)']);
    await first.sync();
    await first.checkpoint('PASSIVE');
    await stop(lab, first);

    const again = lab.db({ monitorIntervalMs: 20, syncIntervalMs: 20 });
    await again.open();
    again.start();
    await until('the older copy in the level-0 files', async () => (await lab.rebuild()).equals(lab.source()));
    await until('no comparison is due', () => !again.status().isComparisonDue);
    await again.stop();
    await lab.verify();
    await again.close();
    const third = lab.db();
    await third.open();
    expect(third.status().isComparisonDue).toBe(false);
  });

  it('is found although its page ledger is lost, and commits followed', async () => {
    await using lab = new Lab(driver);
    await putEqualMovesBack(lab);
    rmSync(join(lab.folder, '.app.db-litestream', 'ledger'));
    const again = lab.db({ monitorIntervalMs: 20, syncIntervalMs: 20 });
    await again.open();
    write(lab, ['INSERT INTO w VALUES (9, 9)']);
    again.start();
    await until('no comparison is due', () => !again.status().isComparisonDue && again.status().proof !== undefined);
    await again.stop();
    expect((await lab.rebuild()).equals(lab.source())).toBe(true);
    await lab.verify();
  });

  it.each([
    ['nothing was written', []],
    ['commits followed', ['INSERT INTO w VALUES (3, 3)']],
    ['a checkpoint followed', ['INSERT INTO w VALUES (3, 3)', 'PRAGMA wal_checkpoint(PASSIVE)']],
  ])('%s after the stop: goes on without a snapshot', async (_what, sql) => {
    await using lab = new Lab(driver);
    lab.closeApp(lab.app(TABLES));
    write(lab, [TUESDAY]);
    const db = lab.db();
    await db.open();
    await db.sync();
    await db.checkpoint('PASSIVE');
    write(lab, ['INSERT INTO w VALUES (2, 2)', "INSERT INTO t VALUES (3, 'wednesday')"]);
    await db.sync();
    await db.checkpoint('PASSIVE');
    await closeBesideWriter(lab, db);
    write(lab, sql);
    const again = lab.db();
    await again.open();
    await again.sync();
    expect(lab.snapshots().length).toBe(1);
    await lab.verify();
  });
});

describe.each(drivers)('a whole older folder copied into place, with $name', (driver) => {
  it('is noticed while it is replicated, and is not mixed with what was', async () => {
    await using lab = new Lab(driver);
    const old = join(lab.folder, 'old');
    const names = ['app.db', 'app.db-wal', 'app.db-shm'];
    spawnSync('mkdir', [old]);
    lab.closeApp(lab.app());
    write(lab, [...TABLES, 'PRAGMA wal_checkpoint(TRUNCATE)', "INSERT INTO w VALUES (2, 'monday')"]);
    for (const name of names) copy(join(lab.folder, name), old);
    write(lab, ['PRAGMA wal_checkpoint(TRUNCATE)', "INSERT INTO w VALUES (3, 'sunday')"]);
    const db = lab.db();
    await db.open();
    await db.sync();
    write(lab, [TUESDAY, "INSERT INTO w VALUES (4, 'tuesday')", "INSERT INTO t VALUES (3, 'tuesday')"]);
    await db.sync();
    for (const name of names) spawnSync('cp', [join(old, name), lab.path + name.slice('app.db'.length)]);
    write(lab, ["INSERT INTO w VALUES (5, 'after')"]);
    await expect(db.sync()).rejects.toMatchObject({ code: 'WAL_LOST' });
    await db.sync();
    await lab.verify();
  });
});
