import { statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { pause } from '../../../tests/support/wait.ts';
import type { Clock } from '../src/util/clock.ts';
import { systemClock } from '../src/util/clock.ts';
import type { SqliteConnection, SqliteDriver } from '../src/index.ts';
import { hasCode } from '../src/index.ts';
import { endOffsetOf } from '../src/sqlite/wal/wal-end.ts';
import { Lab, drivers } from './helpers/db-lab.ts';
import { recordWaits } from './helpers/record-waits.ts';

function insert(app: SqliteConnection, pages: number): void {
  app.exec(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${pages}) ` +
      'INSERT INTO t (payload) SELECT randomblob(4000) FROM n',
  );
}

function appOf(lab: Lab): SqliteConnection {
  const app = lab.app();
  app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
  app.exec('PRAGMA wal_autocheckpoint = 0');
  return app;
}

const checkpoints = (lab: Lab): string[] =>
  lab.logger.lines
    .filter((line) => line.message === 'checkpoint')
    .map((line) => `${String(line.fields['mode'])} ${String(line.fields['result'])}`);

const walSize = (lab: Lab): number => statSync(`${lab.path}-wal`).size;

describe.each(drivers)('checkpoint with $name', (driver) => {
  it('is PASSIVE once the log holds minCheckpointPageN pages, and then the log starts over', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const db = lab.db({ minCheckpointPageN: 100 });
    await db.open();
    await db.sync();
    insert(app, 50);
    await db.sync();
    expect(checkpoints(lab)).toEqual([]);
    insert(app, 60);
    await db.sync();
    expect(checkpoints(lab).length).toBe(1);
    await db.sync();
    await db.sync();
    expect(checkpoints(lab).length).toBe(1);
    const size = walSize(lab);
    insert(app, 60);
    await db.sync();
    expect(walSize(lab)).toBe(size);
    const ends = (await lab.headers()).map((header) => endOffsetOf(header));
    expect(ends.at(-1)).toBeLessThan(ends.at(-2) ?? 0);
    expect(lab.snapshots()).toEqual(['first sync']);
    await lab.verify();
  });

  it('is PASSIVE after checkpointIntervalMs, only if something was synced, and writes nothing itself', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    let elapsedMs = 0;
    // The time of day stands still: the interval is not measured by it.
    const clock: Clock = { ...systemClock, now: () => 1_000_000, monotonic: () => elapsedMs };
    const db = lab.db({ checkpointIntervalMs: 60_000, clock });
    await db.open();
    await db.sync();
    insert(app, 3);
    await db.sync();
    elapsedMs += 59_000;
    await db.sync();
    expect(checkpoints(lab)).toEqual([]);
    elapsedMs += 2000;
    const { txid } = await db.sync();
    expect(checkpoints(lab).length).toBe(1);
    for (let minute = 0; minute < 5; minute++) {
      elapsedMs += 61_000;
      await db.sync();
    }
    expect(checkpoints(lab).length).toBe(1);
    expect(db.position.txid).toBe(txid);
    expect((await lab.headers()).map((header) => header.timestampMs)).toEqual([1_000_000, 1_000_001]);
  });

  it('is TRUNCATE once the log has run away and PASSIVE cannot bring it down', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const reader = lab.app();
    const db = lab.db({ minCheckpointPageN: 50, truncatePageN: 200, busyTimeoutMs: 20 });
    await db.open();
    await db.sync();
    reader.exec('BEGIN');
    reader.get('SELECT COUNT(*) FROM t');
    insert(app, 300);
    await db.sync();
    expect(walSize(lab)).toBeGreaterThan(300 * 4120);
    expect(checkpoints(lab).at(-1)).toMatch(/^PASSIVE 0/);
    reader.exec('ROLLBACK');
    insert(app, 1);
    await db.sync();
    expect(checkpoints(lab).at(-1)).toBe('TRUNCATE 0,0,0');
    expect(walSize(lab)).toBe(0);
    insert(app, 1);
    await db.sync();
    expect(lab.snapshots()).toEqual(['first sync']);
    await lab.verify();
  });

  it('finds the gap between two transactions of a writer that almost never releases the lock', async () => {
    let refusals = 0;
    const busyDriver: SqliteDriver = {
      name: driver.name,
      version: driver.version,
      open(path, options) {
        const connection = driver.open(path, options);
        return {
          all: (sql) => connection.all(sql),
          get: (sql) => connection.get(sql),
          close: () => connection.close(),
          exec(sql) {
            if (refusals > 0 && sql === 'BEGIN IMMEDIATE') {
              refusals -= 1;
              throw Object.assign(new Error('injected: database is locked'), { errcode: 5 });
            }
            connection.exec(sql);
          },
        };
      },
    };
    await using lab = new Lab(busyDriver);
    const app = appOf(lab);
    const db = lab.db({ busyTimeoutMs: 60_000 });
    await db.open();
    insert(app, 20);
    const waits = recordWaits();
    refusals = 120;
    await db.checkpoint('PASSIVE');
    expect(refusals).toBe(0);
    // Looking every 25 ms would find it after three seconds.
    expect(waits.length).toBeGreaterThan(0);
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(1500);
    await lab.verify();
  });

  it('reads what is left of a long log behind the barrier, once it fits one file', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const db = lab.db({ minCheckpointPageN: 10, maxSyncWalBytes: 200_000 });
    await db.open();
    await db.sync();
    const before = lab.logger.lines.length;
    for (let i = 0; i < 12; i += 1) insert(app, 10); // some 520 kB
    await db.sync();
    const files = lab.logger.lines.slice(before).filter((line) => line.message === 'sync');
    expect(files.map((line) => line.fields['chkpt'])).toEqual([undefined, undefined, 'true']);
    expect(checkpoints(lab).length).toBe(1);
    await lab.verify();
  });

  it('by request rejects with DATABASE_BUSY while another connection writes, and loses nothing', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const waits = recordWaits();
    const db = lab.db({ busyTimeoutMs: 30 });
    await db.open();
    await db.sync();
    app.exec('BEGIN IMMEDIATE');
    insert(app, 3);
    const error = await db.checkpoint('PASSIVE').catch((caught: unknown) => caught);
    expect(hasCode(error, 'DATABASE_BUSY')).toBe(true);
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(2 * 30);
    app.exec('COMMIT');
    await db.checkpoint('TRUNCATE');
    expect(walSize(lab)).toBe(0);
    await lab.verify();
    expect(lab.snapshots()).toEqual(['first sync']);
  });

  it('waits for an in-process transaction without blocking the thread that is to end it', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const db = lab.db({ busyTimeoutMs: 60_000 });
    await db.open();
    await db.sync();
    app.exec('BEGIN IMMEDIATE');
    insert(app, 2);
    const done = db.checkpoint('PASSIVE');
    await pause(60, 'a transaction that takes its time');
    app.exec('COMMIT');
    await done;
    expect(checkpoints(lab).length).toBe(1);
    await db.sync();
    await lab.verify();
  });
});
