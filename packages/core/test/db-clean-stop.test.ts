/** A clean stop leaves a database file that is complete by itself, and the next start goes on from it without a snapshot. */
import { spawnSync } from 'node:child_process';
import fs, { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DB } from '../src/index.ts';
import { Lab, drivers } from './helpers/db-lab.ts';

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)';
const INSERT = 'INSERT INTO t (v) VALUES (hex(randomblob(300)))';

async function start(lab: Lab): Promise<DB> {
  const db = lab.db();
  await db.open();
  await db.sync();
  return db;
}

/** Rows in a copy of the database file alone. */
function rowsInCopy(lab: Lab): number {
  const copy = join(lab.folder, 'night.db');
  expect(spawnSync('cp', [lab.path, copy]).status).toBe(0);
  const connection = lab.driver.open(copy);
  try {
    expect(connection.get('PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' });
    return Number(connection.get('SELECT COUNT(*) AS n FROM t')?.['n']);
  } finally {
    connection.close();
  }
}

describe.each(drivers)('with $name', (driver) => {
  it('the file alone has everything once the application and then Litestream have stopped', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE]);
    const db = await start(lab);
    for (let row = 0; row < 300; row += 1) app.exec(INSERT);
    lab.closeApp(app);
    await db.close();
    expect(existsSync(`${lab.path}-wal`)).toBe(false);
    expect(rowsInCopy(lab)).toBe(300);
    expect(db.position.txid).toBe(2n);
  });

  it('and once Litestream and then the application have stopped', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE]);
    const db = await start(lab);
    for (let row = 0; row < 50; row += 1) app.exec(INSERT);
    await db.close();
    expect(rowsInCopy(lab)).toBe(50);
    app.exec(INSERT);
    lab.closeApp(app);
    expect(rowsInCopy(lab)).toBe(51);
  });

  it('any number of restarts write nothing while nothing is committed', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    lab.closeApp(app);
    await db.close();
    const before = statSync(lab.path, { bigint: true }).mtimeNs;
    for (let round = 0; round < 3; round += 1) {
      const again = await start(lab);
      expect(again.position.txid).toBe(db.position.txid);
      await again.close();
    }
    expect(statSync(lab.path, { bigint: true }).mtimeNs).toBe(before);
    expect(lab.snapshots()).toEqual(['first sync']);
  });

  it('what was committed meanwhile is taken from the WAL, unless it was moved to the file', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE]);
    app.exec('PRAGMA wal_autocheckpoint = 0');
    await (await start(lab)).close();
    app.exec(INSERT);
    app.exec(INSERT);
    const second = await start(lab);
    expect(lab.snapshots()).toEqual(['first sync']);
    await lab.verify();
    await second.close();
    app.exec(INSERT);
    app.get('PRAGMA wal_checkpoint(TRUNCATE)');
    app.exec(INSERT);
    await start(lab);
    expect(lab.snapshots().length).toBe(2);
    await lab.verify();
  });

  it('a file that was touched is not taken for the one that was left', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    lab.closeApp(app);
    await db.close();
    utimesSync(lab.path, 1, 1);
    await start(lab);
    expect(lab.snapshots().length).toBe(2);
    await lab.verify();
  });

  it('a record of another timeline, with the same TXID, is not believed', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    lab.closeApp(app);
    await db.close();
    const path = join(db.metaPath, 'rest.json');
    const record = JSON.parse(readFileSync(path, 'utf8')) as { last: { salt2: number } };
    record.last.salt2 ^= 1;
    writeFileSync(path, JSON.stringify(record));
    await start(lab);
    expect(lab.snapshots().length).toBe(2);
  });

  it('a record that cannot be removed makes nothing be acknowledged that is not on the replica', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    await (await start(lab)).close();
    const again = lab.db();
    await again.open();
    app.exec(INSERT);
    const original = fs.rmSync;
    fs.rmSync = (path, options) => {
      if (String(path).endsWith('rest.json')) throw Object.assign(new Error('input or output'), { code: 'EIO' });
      original(path, options);
    };
    syncBuiltinESMExports();
    try {
      for (let round = 0; round < 2; round += 1) expect((await again.sync()).txid).toBe(2n);
      expect(again.localLtx(0).last()?.maxTxid).toBe(2n);
    } finally {
      fs.rmSync = original;
      syncBuiltinESMExports();
    }
  });

  it('a reader that stays open keeps the WAL where it is, and the place in it is proven', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    const reader = lab.app();
    reader.exec('BEGIN');
    reader.get('SELECT COUNT(*) FROM t');
    app.exec(INSERT);
    await db.sync();
    await db.close();
    expect(statSync(`${lab.path}-wal`).size).toBeGreaterThan(0);
    app.exec(INSERT);
    await start(lab);
    expect(lab.snapshots()).toEqual(['first sync']);
    await lab.verify();
    reader.exec('ROLLBACK');
  });

  it('a stop that was killed half-way costs nothing that was committed', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    app.exec(INSERT);
    await db.sync();
    await lab.closeWhileLocked(db, app);
    app.exec(INSERT);
    await start(lab);
    expect(lab.snapshots()).toEqual(['first sync']);
    await lab.verify();
  });
});
