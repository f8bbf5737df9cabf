import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pause, until } from '../../../tests/support/wait.ts';
import type { DB } from '../src/index.ts';
import { hasCode } from '../src/index.ts';
import { Lab, drivers } from './helpers/db-lab.ts';

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe.each(drivers)('open with $name', (driver) => {
  it.each([
    ['text', Buffer.from('this is no database, whatever its name says, and long enough to be one')],
    ['a few bytes', Buffer.from('SQLite')],
    [
      'random bytes, as an encrypted database is',
      Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 197) & 255)),
    ],
  ])('refuses %s', async (_what, bytes) => {
    await using lab = new Lab(driver);
    writeFileSync(lab.path, bytes);
    const error = await failureOf(lab.db().open());
    expect(hasCode(error, 'DATABASE_INVALID')).toBe(true);
    expect(String(error)).toContain(lab.path);
    expect(statSync(lab.path).size).toBe(bytes.length);
  });

  it('refuses a directory', async () => {
    await using lab = new Lab(driver);
    mkdirSync(lab.path);
    expect(hasCode(await failureOf(lab.db().open()), 'DATABASE_INVALID')).toBe(true);
  });

  it('refuses a file that it may not read', async () => {
    await using lab = new Lab(driver);
    writeFileSync(lab.path, '');
    chmodSync(lab.path, 0);
    chmodSync(lab.folder, 0o755);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    const error = await failureOf(lab.db().open());
    if (isRoot) process.seteuid?.(0);
    expect(hasCode(error, 'PERMISSION_DENIED')).toBe(true);
  });

  it.each([
    ['an empty file', Buffer.alloc(0)],
    ['zeros, as a file that is preallocated', Buffer.alloc(8192)],
  ])('waits for %s to become a database, and leaves it as it is', async (_what, bytes) => {
    await using lab = new Lab(driver);
    writeFileSync(lab.path, bytes);
    const db = lab.db();
    await db.open();
    expect((await db.sync()).txid).toBe(0n);
    expect(db.status().state).toBe('waiting');
    expect(hasCode(await failureOf(db.snapshot()), 'DATABASE_NOT_READY')).toBe(true);
    expect(readFileSync(lab.path).equals(bytes)).toBe(true);
    expect(readdirSync(lab.folder)).toEqual([basename(lab.path)]);
  });

  it('takes a lock of an application in rollback mode for no WAL that was deleted', async () => {
    await using lab = new Lab(driver);
    writeFileSync(lab.path, '');
    const app = driver.open(lab.path);
    app.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    app.close();
    const reader = await lab.child('db-reader.mjs');
    await pause(1100, 'longer than the quiet time');
    const db = lab.db({ busyTimeoutMs: 200 });
    expect(await failureOf(db.open())).toMatchObject({ code: 'DATABASE_BUSY' });
    reader.kill('SIGKILL');
    await once(reader, 'exit');
    await db.open();
    expect((await db.sync()).txid).toBeGreaterThan(0n);
  });

  it('waits for a database that does not exist yet', async () => {
    await using lab = new Lab(driver);
    const db = lab.db({ syncIntervalMs: 20, monitorIntervalMs: 50 });
    await db.open();
    expect(db.status().state).toBe('waiting');
    expect((await db.sync()).txid).toBe(0n);
    db.start();
    await pause(100, 'some looks at nothing');
    lab.app().exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
    await until('the first transaction', () => db.position.txid > 0n);
    expect(db.status().state).toBe('open');
    await db.stop();
    await db.sync();
    await lab.verify();
    expect(lab.logger.lines.filter((line) => line.level === 'error')).toEqual([]);
  });

  it('keeps to the permissions of the database', async () => {
    await using lab = new Lab(driver);
    lab.app().exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
    chmodSync(lab.path, 0o640);
    const db = lab.db();
    await db.open();
    await db.sync();
    expect(statSync(db.localLtx(0).last()?.path ?? '').mode & 0o777).toBe(0o640);
  });

  it('keeps replicating after the database was deleted and recreated', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db({ syncIntervalMs: 20, monitorIntervalMs: 50 });
    await db.open();
    db.start();
    await until('the first transaction', () => db.position.txid === 1n);
    lab.closeApp(app);
    for (const suffix of ['', '-wal', '-shm']) rmSync(lab.path + suffix, { force: true });
    await until('the loss to be seen', () => db.status().state === 'waiting');
    const again = lab.app();
    again.exec('CREATE TABLE u (id INTEGER PRIMARY KEY, payload BLOB)');
    again.exec('INSERT INTO u (payload) VALUES (randomblob(10000))');
    await until('the new database', () => db.position.txid > 1n);
    await db.stop();
    await db.sync();
    expect(lab.logger.lines.some((line) => line.level === 'warn' && line.message.includes('replaced'))).toBe(true);
    await lab.verify();
  });

  it('sets WAL mode again where it was changed while nobody followed, and starts over with a snapshot', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    await db.sync();
    // While it is followed, SQLite itself refuses: our connections hold their share of the database's lock.
    expect(() => app.get('PRAGMA journal_mode = delete')).toThrow('locked');
    await db.close();
    expect(app.get('PRAGMA journal_mode = delete')?.['journal_mode']).toBe('delete');
    app.exec('INSERT INTO t (payload) VALUES (randomblob(20000))');
    const again = lab.db();
    await again.open();
    expect((await again.sync()).txid).toBe(2n);
    app.get('SELECT COUNT(*) FROM t');
    expect(app.get('PRAGMA journal_mode')?.['journal_mode']).toBe('wal');
    expect(lab.snapshots().length).toBe(2);
    await lab.verify();
  });

  it.each([
    [4096, 8192],
    [512, 65536],
    [65536, 512],
  ])('takes a snapshot after the page size was changed from %i to %i', async (before, after) => {
    await using lab = new Lab(driver);
    const app = lab.app([`PRAGMA page_size = ${before}`]);
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    await db.sync();
    await db.close();
    app.get('PRAGMA journal_mode = delete');
    app.exec(`PRAGMA page_size = ${after}`);
    app.exec('VACUUM');
    app.get('PRAGMA journal_mode = wal');
    const again = lab.db();
    await again.open();
    await again.sync();
    expect(again.pageSize).toBe(after);
    expect((await lab.headers()).map((header) => header.pageSize)).toEqual([before, after]);
    await lab.verify();
  });

  it('does nothing before it is open, nor after it is closed', async () => {
    await using lab = new Lab(driver);
    const db: DB = lab.db();
    expect(hasCode(await failureOf(db.sync()), 'INVALID_ARGUMENT')).toBe(true);
    await db.open();
    await db.close();
    expect(hasCode(await failureOf(db.sync()), 'INVALID_ARGUMENT')).toBe(true);
    await db.close();
  });
});
