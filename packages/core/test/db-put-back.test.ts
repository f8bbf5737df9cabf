/** A database and its log put back from a file-level copy: another history with the same salts, length and last page. */
import { copyFileSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Lab, drivers } from './helpers/db-lab.ts';
import { spawnSync } from 'node:child_process';

/** In a process of its own, which ends without closing: the log stays. */
function write(lab: Lab, sql: readonly string[]): void {
  const script =
    "const {DatabaseSync}=require('node:sqlite');const d=new DatabaseSync(process.argv[1]);" +
    "d.exec('PRAGMA wal_autocheckpoint=0');for(const s of JSON.parse(process.argv[2]))d.exec(s);process.kill(process.pid,'SIGKILL')";
  spawnSync(process.execPath, ['--no-warnings', '-e', script, lab.path, JSON.stringify(sql)]);
}

describe('an older copy of database and log', () => {
  it('written to differently, is not taken for the log that was read', async () => {
    await using lab = new Lab(drivers[0]);
    const { path } = lab;
    lab.closeApp(lab.app());
    write(lab, [
      'CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)',
      'CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT)',
      "INSERT INTO a VALUES (1, 'begin')",
      'INSERT INTO b VALUES (1, 0)',
    ]);
    const first = lab.db();
    await first.open();
    await first.sync();
    await first.close();
    // The backup: a VM snapshot, a copied volume, with everything but the metadata folder, or that is newer.
    for (const suffix of ['', '-wal']) copyFileSync(path + suffix, `${lab.folder}/saved${suffix}`);
    write(lab, ["BEGIN; UPDATE a SET v = 'one'; UPDATE b SET v = 1; COMMIT"]);
    const second = lab.db();
    await second.open();
    await second.sync();
    await second.close();
    for (const suffix of ['', '-wal']) {
      rmSync(path + suffix);
      copyFileSync(`${lab.folder}/saved${suffix}`, path + suffix);
    }
    rmSync(`${path}-shm`, { force: true });
    write(lab, ["BEGIN; UPDATE a SET v = 'two'; UPDATE b SET v = 1; COMMIT"]);
    const third = lab.db();
    await third.open();
    await third.sync();
    await lab.verify();
    expect(lab.snapshots().length).toBe(2);
  });
});
