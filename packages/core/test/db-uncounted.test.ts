/**
 * A transaction that is whole in the log and that SQLite does not count: its writer was killed before the wal-index header
 * told of it (`sqlite3WalFrames` in `wal.c` writes that last, after the log was made durable). As long as anybody has the
 * database open, us above all, nobody recovers it: the next writer goes on before it, in its place or in a new log.
 */
import { describe, expect, it } from 'vitest';
import type { DB, SqliteConnection } from '../src/index.ts';
import { hasCode } from '../src/index.ts';
import { applyLtx, compare, drivers, Lab, randomFrom, seedOf } from './helpers/db-lab.ts';
import { leaveUncounted } from './helpers/uncounted.ts';

const seed = seedOf('db uncounted');

const SETUP = [
  'CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)',
  'CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT)',
  'CREATE INDEX a_v ON a (v)',
  "INSERT INTO a VALUES (1, 'first')",
  "INSERT INTO b VALUES (1, 'first')",
];
const BIG =
  "BEGIN; INSERT INTO a VALUES (2, 'lost'); INSERT INTO b VALUES (2, 'lost'); UPDATE a SET v = v || '!'; COMMIT";

function setUp(lab: Lab): SqliteConnection {
  const app = lab.app();
  app.get('PRAGMA wal_autocheckpoint = 0');
  for (const sql of SETUP) app.exec(sql);
  return app;
}

async function follow(lab: Lab): Promise<DB> {
  const db = lab.db();
  await db.open();
  await db.sync();
  return db;
}

describe.each(drivers)('a transaction that SQLite does not count, with $name', (driver) => {
  it('and that a shorter one overwrites', async () => {
    await using lab = new Lab(driver);
    const app = setUp(lab);
    const db = await follow(lab);
    const frames = leaveUncounted(lab.path, BIG);
    const before = db.position.txid;
    // It is not visible to any reader, so it is not published.
    expect((await db.sync()).txid).toBe(before);
    app.exec("INSERT INTO b VALUES (3, 'acknowledged')");
    const { txid } = await db.sync();
    expect(frames).toBeGreaterThan(3 * 4096);
    expect(txid).toBe(before + 1n);
    await expect(lab.verify()).resolves.toBeUndefined();
    app.exec("INSERT INTO a VALUES (4, 'next')");
    await db.sync();
    await expect(lab.verify()).resolves.toBeUndefined();
    expect(lab.snapshots()).toEqual(['first sync']);
  });

  it('and that one with the same first pages overwrites', async () => {
    await using lab = new Lab(driver);
    const app = setUp(lab);
    const db = await follow(lab);
    leaveUncounted(lab.path, "BEGIN; INSERT INTO a VALUES (2, 'same'); INSERT INTO b VALUES (2, 'lost'); COMMIT");
    await db.sync();
    app.exec("INSERT INTO a VALUES (2, 'same')");
    await db.sync();
    await expect(lab.verify()).resolves.toBeUndefined();
  });

  it.each(['PASSIVE', 'TRUNCATE'] as const)('before a %s checkpoint and a new log', async (mode) => {
    await using lab = new Lab(driver);
    const app = setUp(lab);
    const db = await follow(lab);
    leaveUncounted(lab.path, BIG);
    await db.sync();
    await db.checkpoint(mode);
    app.exec("INSERT INTO b VALUES (3, 'acknowledged')");
    await db.sync();
    await expect(lab.verify()).resolves.toBeUndefined();
  });

  it.each([false, true])('while nobody follows, the log started over: %s', async (startsOver) => {
    await using lab = new Lab(driver);
    const app = setUp(lab);
    const first = await follow(lab);
    leaveUncounted(lab.path, BIG);
    await first.sync();
    await first.close();
    if (startsOver) app.get('PRAGMA wal_checkpoint(PASSIVE)');
    app.exec("INSERT INTO b VALUES (3, 'acknowledged')");
    await follow(lab);
    await expect(lab.verify()).resolves.toBeUndefined();
  });

  it('behind what was read, the log having started over before it is', async () => {
    await using lab = new Lab(driver);
    const app = setUp(lab);
    const first = await follow(lab);
    await first.close();
    leaveUncounted(lab.path, BIG);
    app.get('PRAGMA wal_checkpoint(PASSIVE)');
    app.exec("INSERT INTO b VALUES (3, 'acknowledged')");
    await follow(lab);
    await expect(lab.verify()).resolves.toBeUndefined();
  });

  it('found again after a restart, and overwritten then, or by a new log', async () => {
    for (const mode of ['PASSIVE', undefined] as const) {
      await using lab = new Lab(driver);
      const app = setUp(lab);
      const first = await follow(lab);
      leaveUncounted(lab.path, BIG);
      await first.sync();
      // By the application itself: all of the log, as SQLite counts, is in the database file.
      if (mode !== undefined) app.get(`PRAGMA wal_checkpoint(${mode})`);
      await first.close();
      const second = await follow(lab);
      app.exec("INSERT INTO b VALUES (3, 'acknowledged')");
      await second.sync();
      await expect(lab.verify()).resolves.toBeUndefined();
    }
  });

  it('at any moment of a life', async () => {
    const random = randomFrom(seed);
    const pick = (count: number): number => Math.floor(random() * count);
    for (let life = 0; life < 3; life += 1) {
      await using lab = new Lab(driver);
      const app = setUp(lab);
      const reader = lab.app();
      let isReading = false;
      let db = await follow(lab);
      let id = 10;
      const steps: readonly (() => unknown)[] = [
        () => app.exec(`INSERT INTO a VALUES (${id}, 'kept')`),
        () => app.exec(`UPDATE b SET v = 'kept ${id}'`),
        () => leaveUncounted(lab.path, BIG.replaceAll('(2,', `(${id},`)),
        () => leaveUncounted(lab.path, `INSERT INTO b VALUES (${id}, 'lost')`),
        () => app.get(`PRAGMA wal_checkpoint(${['PASSIVE', 'TRUNCATE'][pick(2)]})`),
        async () => {
          // Not to its end while others read.
          const [outcome] = await Promise.allSettled([db.checkpoint('PASSIVE')]);
          if (outcome.status === 'rejected' && !hasCode(outcome.reason, 'DATABASE_BUSY')) throw outcome.reason;
        },
        () => db.tend(),
        () => db.sync(),
        () => db.sync(),
        () => {
          // Others' readers keep the log from starting over.
          reader.exec(isReading ? 'ROLLBACK' : 'BEGIN');
          isReading = !isReading;
          if (isReading) reader.get('SELECT count(*) FROM a');
        },
        async () => {
          await db.close();
          db = lab.db();
          await db.open();
        },
      ];
      for (let step = 0; step < 60; step += 1) {
        id += 1;
        await steps[pick(steps.length)]?.();
        if (pick(6) > 0) continue;
        // With a commit that counts behind it, there is one truth.
        app.exec(`INSERT INTO b VALUES (${1000 + id}, 'acknowledged ${step}')`);
        await db.sync();
        await expect(lab.verify()).resolves.toBeUndefined();
        await using snapshot = await db.snapshot();
        compare(await applyLtx(Buffer.alloc(0), snapshot.body), lab.source());
      }
    }
  });
});

describe('without one', () => {
  it('a log that starts over costs no snapshot, restart or not', async () => {
    await using lab = new Lab(drivers[0]);
    const app = setUp(lab);
    let db = await follow(lab);
    for (let round = 0; round < 6; round += 1) {
      if (round % 2 === 0) await db.checkpoint('PASSIVE');
      else app.get('PRAGMA wal_checkpoint(PASSIVE)');
      if (round >= 2) {
        await db.close();
        if (round === 5) app.exec(`INSERT INTO a VALUES (${100 + round}, 'meanwhile')`);
        db = lab.db();
        await db.open();
        await db.sync();
      }
      app.exec(`INSERT INTO a VALUES (${200 + round}, 'next')`);
      await db.sync();
      compare(await lab.rebuild(), lab.source());
    }
    expect(lab.snapshots()).toEqual(['first sync']);
  });
});
