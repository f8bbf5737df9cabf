import { readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { DB, SqliteConnection } from '../src/index.ts';
import { nodeSqlite } from '../src/index.ts';
import { sqliteResultCode } from '../src/driver/busy.ts';
import { Lab, drivers } from './helpers/db-lab.ts';

/** A file stands where the folder of level 0 was, so that no local file can be made, until the result is called. */
function blockLevel0(db: DB): () => void {
  const { folder } = db.localLtx(0);
  renameSync(folder, `${folder}-away`);
  writeFileSync(folder, '');
  return () => {
    rmSync(folder);
    renameSync(`${folder}-away`, folder);
  };
}

describe.each(drivers)('$name as a driver', { timeout: 60_000 }, (driver) => {
  it('throws at once where a lock is in the way, and says so by a result code', async () => {
    await using lab = new Lab(driver);
    const [first, second] = [lab.app(), lab.app()];
    first.exec('BEGIN IMMEDIATE');
    const startedMs = performance.now();
    let error: unknown;
    try {
      second.exec('BEGIN IMMEDIATE');
    } catch (caught) {
      error = caught;
    }
    expect(performance.now() - startedMs).toBeLessThan(100);
    expect(sqliteResultCode(error)).toBe(5);
    expect(sqliteResultCode(new Error('else'))).toBeUndefined();
    expect(driver.version).toMatch(/^3\.\d+\.\d+$/);
  });

  it('leaves the log where it is when the connection that cannot write is closed last', async () => {
    await using lab = new Lab(driver);
    lab.app().exec('CREATE TABLE t (a)');
    const reader = driver.open(lab.path, { readOnly: true });
    expect(reader.get('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 0 });
    expect(() => reader.exec('INSERT INTO t VALUES (1)')).toThrow('readonly');
    reader.close();
  });
});

describe('following', { timeout: 60_000 }, () => {
  const insert = (app: SqliteConnection): void => app.exec('INSERT INTO t VALUES (randomblob(100))');

  it('takes the first commit after quiet within milliseconds, and then one file per interval', async () => {
    await using lab = new Lab();
    const app = lab.app();
    app.exec('CREATE TABLE t (a)');
    const db = lab.db({ syncIntervalMs: 300, monitorIntervalMs: 0 });
    await db.open();
    await db.sync();
    db.start();
    const latenciesMs: number[] = [];
    for (let round = 0; round < 5; round++) {
      await sleep(700);
      const startedMs = performance.now();
      const { txid } = db.position;
      insert(app);
      await vi.waitFor(() => expect(db.position.txid).toBe(txid + 1n), { interval: 1, timeout: 2000 });
      latenciesMs.push(performance.now() - startedMs);
    }
    latenciesMs.sort((a, b) => a - b);
    expect(latenciesMs[2]).toBeLessThan(100);

    const before = db.position.txid;
    const until = performance.now() + 1500;
    while (performance.now() < until) {
      insert(app);
      await sleep(5);
    }
    const files = Number(db.position.txid - before);
    expect(files).toBeGreaterThanOrEqual(3);
    expect(files).toBeLessThanOrEqual(7);
    await db.stop();
    await db.sync();
    await lab.verify();
  });

  it('finds by the sweep alone what no event told of', async () => {
    await using lab = new Lab();
    const app = lab.app();
    app.exec('CREATE TABLE t (a)');
    const db = lab.db({ syncIntervalMs: 10, monitorIntervalMs: 30 });
    await db.open();
    db.start();
    for (let round = 0; round < 5; round++) {
      await sleep(100);
      const { txid } = db.position;
      insert(app);
      await vi.waitFor(() => expect(db.position.txid).toBeGreaterThan(txid), { interval: 5, timeout: 2000 });
    }
  });

  it('does nothing while nobody writes', async () => {
    await using lab = new Lab();
    lab.app().exec('CREATE TABLE t (a)');
    const db = lab.db({ syncIntervalMs: 10, monitorIntervalMs: 20, checkpointIntervalMs: 50 });
    await db.open();
    db.start();
    await sleep(500);
    const lines = lab.logger.lines.length;
    const { lastSyncAt, position } = db.status();
    await sleep(500);
    expect(lab.logger.lines.length).toBe(lines);
    expect(db.status()).toMatchObject({ lastSyncAt, position });
  });

  it('tells of a full disk, leaves nothing behind, and goes on when there is room', async () => {
    await using lab = new Lab();
    const app = lab.app();
    app.exec('CREATE TABLE t (a)');
    const db = lab.db();
    await db.open();
    await db.sync();
    insert(app);
    // Every write to this device fails for want of space.
    const { folder } = db.localLtx(0);
    // The names of temporary files are numbered by session.
    for (let i = 1; i <= 100; i++) symlinkSync('/dev/full', `${db.localLtx(0).path(2n, 2n)}.${process.pid}-${i}.tmp`);
    await expect(db.sync()).rejects.toMatchObject({ code: 'DISK_FULL', retryable: true });
    expect(db.position.txid).toBe(1n);
    // The one that was written to is gone.
    expect(readdirSync(folder).length).toBe(1 + 99);
    expect((await db.sync()).txid).toBe(2n);
    await lab.verify();
  });

  it('waits for a lock that an application holds when the database appears, without an error', async () => {
    await using lab = new Lab();
    const db = lab.db({ syncIntervalMs: 20, monitorIntervalMs: 50, busyTimeoutMs: 30 });
    await db.open();
    db.start();
    // In one turn of the event loop: it is locked as soon as it is ready.
    const app = lab.app(['CREATE TABLE t (a)']);
    app.exec('BEGIN IMMEDIATE; INSERT INTO t VALUES (1)');
    const waits = (): boolean => lab.logger.lines.some((line) => line.message === 'database is locked, waiting');
    await vi.waitFor(() => expect(waits()).toBe(true), { timeout: 10_000, interval: 10 });
    app.exec('COMMIT');
    await vi.waitFor(() => expect(db.position.txid).toBeGreaterThan(0n), { timeout: 10_000, interval: 10 });
    await db.stop();
    await db.sync();
    await lab.verify();
    expect(lab.logger.lines.filter((line) => line.level === 'error' || line.level === 'warn')).toEqual([]);
  });

  it('slows down on errors, logs them once in a while, and recovers', async () => {
    await using lab = new Lab();
    const app = lab.app();
    app.exec('CREATE TABLE t (a)');
    const db = lab.db({ syncIntervalMs: 5, monitorIntervalMs: 10 });
    await db.open();
    await db.sync();
    db.start();
    const mend = blockLevel0(db);
    for (let round = 0; round < 5; round++) {
      insert(app);
      await sleep(40);
    }
    expect(db.status().lastError).toBeDefined();
    const errors = lab.logger.lines.filter((line) => line.level === 'error');
    expect(errors.map((line) => line.message)).toEqual(['sync error']);
    mend();
    await vi.waitFor(() => expect(db.position.txid).toBe(2n), { timeout: 10_000, interval: 10 });
    expect(lab.logger.lines.some((line) => line.message === 'sync recovered')).toBe(true);
    expect(db.status().lastError).toBeUndefined();
    await lab.verify();
  });

  it('says that it recovered only of an error that it told of', async () => {
    await using lab = new Lab();
    const app = lab.app();
    app.exec('CREATE TABLE t (a)');
    const db = lab.db({ syncIntervalMs: 5, monitorIntervalMs: 10 });
    await db.open();
    await db.sync();
    db.start();
    for (let round = 0; round < 3; round++) {
      const mend = blockLevel0(db);
      insert(app);
      await vi.waitFor(() => expect(db.status().lastError).toBeDefined(), { timeout: 10_000, interval: 5 });
      mend();
      await vi.waitFor(() => expect(db.status().lastError).toBeUndefined(), { timeout: 10_000, interval: 5 });
    }
    await db.stop();
    const messages = lab.logger.lines
      .map((line) => line.message)
      .filter((each) => /^sync (error|recovered)/.test(each));
    expect(messages).toEqual(['sync error', 'sync recovered']);
    await lab.verify();
  });

  it('has no timer that keeps the process alive, and survives being started and stopped', async () => {
    await using lab = new Lab();
    lab.app().exec('CREATE TABLE t (a)');
    const db = lab.db({ driver: nodeSqlite });
    await db.open();
    for (let round = 0; round < 3; round++) {
      db.start();
      db.start();
      await db.stop();
      await db.stop();
    }
    await db.close();
    expect(db.status().state).toBe('closed');
  });
});
