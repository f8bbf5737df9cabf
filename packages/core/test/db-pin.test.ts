/** The read transaction moves along with the log, and still no frame is lost before it was read. */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Lab, drivers, randomFrom, seedOf } from './helpers/db-lab.ts';

const RUNS = Number(process.env['LITESTREAM_TEST_INTERLEAVINGS'] ?? 5);
const STEPS = 120;

describe.each(drivers)('moving the pin with $name', (driver) => {
  it(`loses nothing and needs no snapshot in ${RUNS} × ${STEPS} steps of commits, checkpoints, syncs and moves`, async () => {
    const seed = seedOf(`moving the pin with ${driver.name}`);
    for (let run = 0; run < RUNS; run++) {
      const random = randomFrom(seed + run);
      await using lab = new Lab(driver);
      const app = lab.app();
      app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
      // Small transactions and a checkpoint after nearly each: the log restarts as often as anybody lets it.
      app.exec(`PRAGMA wal_autocheckpoint = ${1 + Math.floor(random() * 4)}`);
      const db = lab.db({ minCheckpointPageN: random() < 0.5 ? 8 : 1_000_000, busyTimeoutMs: 20 });
      await db.open();
      await db.sync();
      for (let step = 0; step < STEPS; step++) {
        const choice = random();
        if (choice < 0.45) app.exec(`INSERT INTO t (payload) VALUES (randomblob(${Math.floor(random() * 6000)}))`);
        else if (choice < 0.55) app.exec('UPDATE t SET payload = randomblob(200) WHERE id % 5 = 1');
        else if (choice < 0.75) await db.tend();
        else if (choice < 0.9) await db.sync();
        else if (choice < 0.95) await db.checkpoint('PASSIVE').catch(() => undefined);
        else app.get(`PRAGMA wal_checkpoint(${random() < 0.5 ? 'PASSIVE' : 'RESTART'})`);
      }
      await db.sync();
      await lab.verify();
      expect(lab.snapshots(), `seed ${seed + run}`).toEqual(['first sync']);
      await db.close();
    }
  });

  it('lets the application checkpoint what was read, before and after a checkpoint of ours', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    app.exec('PRAGMA wal_autocheckpoint = 0');
    const db = lab.db();
    await db.open();
    await db.sync();
    const commit = (): void => app.exec('INSERT INTO t (payload) VALUES (randomblob(20000))');
    const left = (): number => {
      const row = app.get('PRAGMA wal_checkpoint(PASSIVE)');
      return Number(row?.['log']) - Number(row?.['checkpointed']);
    };
    for (let round = 0; round < 5; round++) {
      commit();
      await db.sync();
    }
    expect(left()).toBe(0);

    await db.checkpoint('PASSIVE');
    commit();
    expect(left()).toBeGreaterThan(0);
    await db.tend();
    expect(left()).toBe(0);
    // All of the log is in the database file, but not read yet: it may not start over.
    await db.tend();
    for (let round = 0; round < 5; round++) {
      commit();
      left();
      await db.tend();
      app.get('PRAGMA wal_checkpoint(RESTART)');
    }
    await db.sync();
    await lab.verify();
    expect(lab.snapshots()).toEqual(['first sync']);
  });

  it('opens nothing more for a database that is hardly written to', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    // Other systems do not tell.
    const open = (): number => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);
    const before = open();
    for (let round = 0; round < 3; round++) {
      await db.sync();
      app.exec('INSERT INTO t (payload) VALUES (1)');
      await db.tend();
    }
    expect(open()).toBe(before);
  });

  it('says when the log should not wait for the end of the interval', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db({ maxSyncWalBytes: 1 << 20 });
    await db.open();
    await db.sync();
    expect(await db.tend()).toBe(false);
    app.exec('INSERT INTO t (payload) VALUES (randomblob(100000))');
    expect(await db.tend()).toBe(false);
    app.exec('INSERT INTO t (payload) VALUES (randomblob(600000))');
    expect(await db.tend()).toBe(true);
    await db.sync();
    expect(await db.tend()).toBe(false);
  });
});
