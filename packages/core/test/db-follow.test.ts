import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inTime, pause, until } from '../../../tests/support/wait.ts';
import type { DB, SqliteConnection } from '../src/index.ts';
import { nodeSqlite } from '../src/index.ts';
import { sqliteResultCode } from '../src/sqlite/driver/busy.ts';
import { Lab, drivers } from './helpers/db-lab.ts';

/** As in `monitor.ts`: a lock that is held for longer is reported as an error. */
const LOCK_PATIENCE_MS = 10_000;
/** As in `monitor.ts`: an error that lasts longer is reported again. */
const ERROR_LOG_INTERVAL_MS = 30_000;

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

describe.each(drivers)('$name as a driver', (driver) => {
  it('throws at once where a lock is in the way, and says so by a result code', async () => {
    await using lab = new Lab(driver);
    const [first, second] = [lab.app(), lab.app()];
    first.exec('BEGIN IMMEDIATE');
    // So that SQLite itself does not wait, which would block the thread.
    expect(second.get('PRAGMA busy_timeout')).toEqual({ timeout: 0 });
    let error: unknown;
    try {
      second.exec('BEGIN IMMEDIATE');
    } catch (caught) {
      error = caught;
    }
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

describe('following', () => {
  const insert = (app: SqliteConnection): void => app.exec('INSERT INTO t VALUES (randomblob(100))');

  it('takes the first commit after quiet at once', async () => {
    await using lab = new Lab();
    const app = lab.app();
    app.exec('CREATE TABLE t (a)');
    // Neither the interval nor a sweep would find it before the test is over.
    const db = lab.db({ syncIntervalMs: 3_600_000, monitorIntervalMs: 0 });
    await db.open();
    await db.sync();
    for (let round = 0; round < 5; round++) {
      db.start();
      await pause(100, 'quiet, so that it is the watch that finds the commit');
      const { txid } = db.position;
      insert(app);
      await until('the commit', () => db.position.txid === txid + 1n, { intervalMs: 1 });
      await db.stop();
    }
    await db.sync();
    await expect(lab.verify()).resolves.toBeUndefined();
  });

  it('makes one file per interval while it is being written to', async () => {
    await using lab = new Lab();
    const app = lab.app();
    app.exec('CREATE TABLE t (a)');
    const syncIntervalMs = 100;
    const db = lab.db({ syncIntervalMs, monitorIntervalMs: 0 });
    await db.open();
    await db.sync();
    const startedMs = performance.now();
    db.start();
    await until('some files', () => {
      insert(app);
      return db.position.txid > 12n;
    });
    // One at the start of each interval, the one that is under way included.
    const intervals = (performance.now() - startedMs) / syncIntervalMs;
    expect(Number(db.position.txid) - 1).toBeLessThanOrEqual(intervals + 2);
    await db.stop();
    await db.sync();
    await lab.verify();
  });

  it('finds by the sweep alone what no event reported', async () => {
    await using lab = new Lab();
    const app = lab.app();
    app.exec('CREATE TABLE t (a)');
    const db = lab.db({ syncIntervalMs: 10, monitorIntervalMs: 30 });
    await db.open();
    db.start();
    for (let round = 0; round < 5; round++) {
      await pause(100, 'quiet, so that nothing but an event or the sweep finds the commit');
      const { txid } = db.position;
      insert(app);
      await until('the commit', () => db.position.txid > txid, { intervalMs: 5 });
    }
    await db.stop();
    await expect(lab.verify()).resolves.toBeUndefined();
  });

  it('does nothing while nobody writes', async () => {
    await using lab = new Lab();
    lab.app().exec('CREATE TABLE t (a)');
    const db = lab.db({ syncIntervalMs: 10, monitorIntervalMs: 20, checkpointIntervalMs: 50 });
    await db.open();
    db.start();
    await until('a database at rest', async () => {
      const lines = lab.logger.lines.length;
      const { lastSyncAt, position } = db.status();
      await pause(500, 'some twenty sweeps, none of which may find anything to do');
      const isSynced = db.status().lastSyncAt?.getTime() !== lastSyncAt?.getTime();
      if (position.txid === 0n || lab.logger.lines.length !== lines || isSynced) return false;
      expect(db.status().position).toEqual(position);
      return true;
    });
  });

  it('waits for a lock that an application holds when the database appears, without an error', async () => {
    await inTime(LOCK_PATIENCE_MS, async () => {
      await using lab = new Lab();
      const db = lab.db({ syncIntervalMs: 20, monitorIntervalMs: 50, busyTimeoutMs: 30 });
      await db.open();
      db.start();
      // In one turn of the event loop: it is locked as soon as it is ready.
      const app = lab.app(['CREATE TABLE t (a)']);
      app.exec('BEGIN IMMEDIATE; INSERT INTO t VALUES (1)');
      const waits = (): boolean => lab.logger.lines.some((line) => line.message === 'database is locked, waiting');
      await until('the lock to be met', waits);
      app.exec('COMMIT');
      await until('the first transaction', () => db.position.txid > 0n);
      await db.stop();
      await db.sync();
      await lab.verify();
      expect(lab.logger.lines.filter((line) => line.level === 'error' || line.level === 'warn')).toEqual([]);
    });
  });

  it('slows down on errors, logs them once in a while, and recovers', async () => {
    await inTime(ERROR_LOG_INTERVAL_MS, async () => {
      await using lab = new Lab();
      const app = lab.app();
      app.exec('CREATE TABLE t (a)');
      const db = lab.db({ syncIntervalMs: 5, monitorIntervalMs: 10 });
      await db.open();
      await db.sync();
      db.start();
      const mend = blockLevel0(db);
      await until('several failures', () => {
        insert(app);
        return db.status().totals.sync.errors >= 4;
      });
      expect(db.status().lastError).toBeDefined();
      const errors = lab.logger.lines.filter((line) => line.level === 'error');
      expect(errors.map((line) => line.message)).toEqual(['sync error']);
      mend();
      // A sync logs this line last.
      await until('a sync that succeeds', () => lab.logger.lines.some((line) => line.message === 'sync recovered'));
      expect(db.position.txid).toBe(2n);
      expect(db.status().lastError).toBeUndefined();
      await lab.verify();
    });
  });

  it('says that it recovered only from an error that it reported', async () => {
    await inTime(ERROR_LOG_INTERVAL_MS, async () => {
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
        await until('a failure', () => db.status().lastError !== undefined, { intervalMs: 5 });
        mend();
        await until('a sync that succeeds', () => db.status().lastError === undefined, { intervalMs: 5 });
      }
      await db.stop();
      const messages = lab.logger.lines
        .map((line) => line.message)
        .filter((each) => /^sync (error|recovered)/.test(each));
      expect(messages).toEqual(['sync error', 'sync recovered']);
      await lab.verify();
    });
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
