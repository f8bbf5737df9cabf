/** A quiet database is out of its application's way: nothing of ours holds a read mark that a checkpoint has to wait for. */
import { describe, expect, it } from 'vitest';
import { Lab, drivers } from './helpers/db-lab.ts';
import { until } from '../../../tests/support/wait.ts';

describe.each(drivers)('a quiet database, with $name', (driver) => {
  it.each(['RESTART', 'TRUNCATE'])('lets the application checkpoint at once: %s', async (mode) => {
    await using lab = new Lab(driver);
    const app = lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)']);
    app.exec('PRAGMA wal_autocheckpoint = 0; PRAGMA busy_timeout = 0');
    const db = lab.db({ checkpointIntervalMs: 60_000 });
    await db.open();
    db.start();
    for (let round = 0; round < 3; round += 1) {
      app.exec('INSERT INTO t (v) VALUES (hex(randomblob(50000)))');
      await db.sync();
      // Stays true once it is: nothing is written.
      await until('our read mark to leave', () => app.get(`PRAGMA wal_checkpoint(${mode})`)?.['busy'] === 0);
      expect(app.get(`PRAGMA wal_checkpoint(${mode})`)).toMatchObject({ busy: 0 });
    }
    await db.sync();
    await lab.verify();
    expect(lab.snapshots()).toEqual(['first sync']);
  });

  it('does so once, and then waits for the next commit', async () => {
    await using lab = new Lab(driver);
    const app = lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)']);
    app.exec('PRAGMA wal_autocheckpoint = 0');
    const db = lab.db({ checkpointIntervalMs: 60_000 });
    let checkpoints = 0;
    db.onCheckpoint(() => void (checkpoints += 1));
    await db.open();
    db.start();
    app.exec('INSERT INTO t (v) VALUES (1)');
    await db.sync();
    await until('the quiet checkpoint', () => checkpoints > 0);
    const before = checkpoints;
    // A commit makes another one due; had more been made before, it would not be the next.
    app.exec('INSERT INTO t (v) VALUES (2)');
    await db.sync();
    await until('the next one', () => checkpoints > before);
    expect(checkpoints).toBe(before + 1);
    await lab.verify();
  });
});

describe('a checkpoint of much', () => {
  it.each(drivers)('moves most of it beside writers, with $name', async (driver) => {
    await using lab = new Lab(driver);
    const app = lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)']);
    app.exec('PRAGMA wal_autocheckpoint = 0');
    const db = lab.db();
    const results: { log: number; checkpointed: number }[] = [];
    db.onCheckpoint((result) => void results.push(result));
    await db.open();
    await db.sync();
    // More than a usual disk copies within the time that writers may wait.
    app.exec('INSERT INTO t (v) VALUES (zeroblob(60000000))');
    await db.checkpoint('PASSIVE');
    // The first one runs without the write lock, the second one behind it.
    expect(results.length).toBe(2);
    expect(results[0]?.checkpointed).toBe(results[0]?.log);
    for (let row = 0; row < 5; row += 1) app.exec('INSERT INTO t (v) VALUES (randomblob(2000000))');
    await db.checkpoint('TRUNCATE');
    app.exec('INSERT INTO t (v) VALUES (1)');
    await db.sync();
    await lab.verify();
    expect(lab.snapshots()).toEqual(['first sync']);
  });
});
