/**
 * Files put back from an older copy (a VM snapshot, a copied volume), after which the application commits as often as
 * before: another timeline under the same salts, of the same length, with the same last page.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileClient, Replica, guardClient, restore } from '../src/index.ts';
import type { DB } from '../src/index.ts';
import { Lab, compare, drivers } from './helpers/db-lab.ts';

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
    if (putBack.includes('.app.db-litestream')) rmSync(db.metaPath, { recursive: true });
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
