import { describe, expect, it } from 'vitest';
import type { DB, SqliteConnection } from '../src/index.ts';
import { hasCode } from '../src/index.ts';
import { Lab, applyLtx, compare, drivers, randomFrom, seedOf } from './helpers/db-lab.ts';

const RUNS = Number(process.env['LITESTREAM_TEST_INTERLEAVINGS'] ?? 3);
const STEPS = Number(process.env['LITESTREAM_TEST_STEPS'] ?? 60);

/** What the application does between, and in the midst of, what the follower does. */
const writes: readonly ((app: SqliteConnection, random: () => number) => void)[] = [
  (app, random) => app.exec(`INSERT INTO t (payload) VALUES (randomblob(${Math.floor(random() * 9000)}))`),
  (app, random) =>
    app.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${1 + Math.floor(random() * 200)}) ` +
        'INSERT INTO t (payload) SELECT randomblob(900) FROM n',
    ),
  (app, random) => app.exec(`DELETE FROM t WHERE id % ${2 + Math.floor(random() * 5)} = 0`),
  (app) => app.exec('UPDATE t SET payload = randomblob(300) WHERE id % 7 = 1'),
  (app) => app.exec('VACUUM'),
  (app) => void app.get('PRAGMA wal_checkpoint(PASSIVE)'),
  (app) => void app.get('PRAGMA wal_checkpoint(FULL)'),
  (app) => void app.get('PRAGMA wal_checkpoint(RESTART)'),
  (app) => void app.get('PRAGMA wal_checkpoint(TRUNCATE)'),
];

function pick<T>(items: readonly T[], random: () => number): T {
  return items[Math.floor(random() * items.length)] as T;
}

/** Busy is an answer; everything else is a failure. */
async function settle(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!hasCode(error, 'DATABASE_BUSY') && !hasCode(error, 'INVALID_ARGUMENT') && !hasCode(error, 'ABORTED'))
      throw error;
  });
}

async function snapshotIsRight(lab: Lab, db: DB): Promise<void> {
  await using snapshot = await db.snapshot();
  compare(await applyLtx(Buffer.alloc(0), snapshot.body), await lab.rebuild(snapshot.position.txid));
}

describe.each(drivers)('interleavings with $name', (driver) => {
  it(`holds every commit after ${RUNS} × ${STEPS} random steps of sync, checkpoint, snapshot, close and writes`, async () => {
    const seed = seedOf(`interleavings with ${driver.name}`);
    for (let run = 0; run < RUNS; run++) {
      const random = randomFrom(seed + run);
      await using lab = new Lab(driver);
      const app = lab.app([`PRAGMA page_size = ${pick([512, 4096, 16384], random)}`, 'PRAGMA cache_size = 20']);
      app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
      app.exec(`PRAGMA wal_autocheckpoint = ${pick([0, 5, 1000], random)}`);
      const options = {
        minCheckpointPageN: pick([5, 50, 1_000_000], random),
        truncatePageN: pick([40, 121_359], random),
        maxSyncWalBytes: pick([0, 20_000], random),
        busyTimeoutMs: 20,
      };
      let db = lab.db(options);
      await db.open();
      let pending: Promise<void>[] = [];
      for (let step = 0; step < STEPS; step++) {
        try {
          pick(writes, random)(app, random);
        } catch (error) {
          if (!String(error).includes('locked')) throw error;
        }
        const choice = random();
        if (choice < 0.45) pending.push(settle(db.sync()));
        else if (choice < 0.6) pending.push(settle(db.checkpoint('PASSIVE')));
        else if (choice < 0.7) pending.push(settle(db.checkpoint('TRUNCATE')));
        else if (choice < 0.75) pending.push(settle(db.tend()));
        else if (choice < 0.79) pending.push(settle(snapshotIsRight(lab, db)));
        else if (choice < 0.84) {
          pending.push(db.close());
          await Promise.all(pending);
          pending = [];
          db = lab.db(options);
          await db.open();
        }
        // Lets what is under way get on by some turns of the event loop before the next write meets it.
        for (let turns = Math.floor(random() * 6); turns > 0; turns--) await new Promise(setImmediate);
        if (random() < 0.2) {
          await Promise.all(pending);
          pending = [];
        }
      }
      await Promise.all(pending);
      await db.sync();
      await lab.verify();
      expect(db.position.txid).toBeGreaterThan(1n);
      await db.close();
    }
  });

  it('does nothing by halves when a sync is aborted', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    await db.sync();
    for (let round = 0; round < 10; round++) {
      app.exec('INSERT INTO t (payload) VALUES (randomblob(2000000))');
      const abort = new AbortController();
      const work = db.sync({ signal: abort.signal });
      for (let turns = 0; turns < round; turns++) await new Promise(setImmediate);
      abort.abort(new Error('enough'));
      await work.catch((error: unknown) => expect(String(error)).toContain('enough'));
    }
    await db.sync();
    await lab.verify();
    expect(lab.snapshots()).toEqual(['first sync']);
  });
});
