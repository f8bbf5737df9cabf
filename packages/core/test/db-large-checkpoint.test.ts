/** A large checkpoint runs in a worker thread: the event loop serves other databases meanwhile, and no lock is lost. */
import { statSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { pause, until } from '../../../tests/support/wait.ts';
import { isLitestreamError } from '../src/index.ts';
import type { DB, SqliteConnection, SqliteDriver } from '../src/index.ts';
import { isSecondLibraryOpen } from '../src/sqlite/driver/library-conflict.ts';
import { OpeningLocks } from '../src/sqlite/driver/opening-locks.ts';
import { Lab, drivers } from './helpers/db-lab.ts';

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)';
const LARGE = 96_000_000;

function appOf(lab: Lab): SqliteConnection {
  const app = lab.app([TABLE]);
  app.exec('PRAGMA wal_autocheckpoint = 0');
  return app;
}

/** Of what Linux lists; elsewhere nothing is known. */
const areLocksHeld = async ({ path }: Lab): Promise<boolean> =>
  process.platform !== 'linux' ||
  (await OpeningLocks.find(statSync(path, { bigint: true }).ino, statSync(`${path}-shm`, { bigint: true }).ino)) !==
    undefined;

/** A checkpoint, and the longest time for which this thread did nothing else meanwhile. `sync` runs over and over until it is done. */
async function checkpointBeside(
  db: DB,
  sync: () => Promise<void>,
): Promise<{ durationMs: number; stallMs: number; syncs: number }> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  const over = new AbortController();
  let syncs = 0;
  delays.enable();
  const startMs = performance.now();
  const checkpoint = db.checkpoint('PASSIVE').finally(() => over.abort());
  while (!over.signal.aborted) {
    await sync();
    syncs += 1;
  }
  await checkpoint;
  const durationMs = performance.now() - startMs;
  await pause(20, 'the timer that sees the last stall');
  delays.disable();
  return { durationMs, stallMs: delays.max / 1e6, syncs };
}

describe.each(drivers)('a checkpoint of a large commit, with $name', (driver) => {
  it('leaves the event loop to other databases, and takes no lock with it', async () => {
    await using lab = new Lab(driver);
    await using other = new Lab(driver);
    const app = appOf(lab);
    const otherApp = appOf(other);
    const db = lab.db();
    const otherDb = other.db();
    await Promise.all([db.open(), otherDb.open()]);
    await Promise.all([db.sync(), otherDb.sync()]);
    // A checkpoint on this thread stalls it each time. A busy machine stops the process, or this thread, only sometimes.
    await until('a checkpoint beside which the event loop turns', async () => {
      app.exec(`INSERT OR REPLACE INTO t VALUES (1, zeroblob(${LARGE}))`);
      await db.sync();
      const { durationMs, stallMs, syncs } = await checkpointBeside(db, async () => {
        otherApp.exec('INSERT INTO t (v) VALUES (randomblob(100))');
        await otherDb.sync();
        // One library, one map of the -shm: the worker's connection sees the same locks.
        expect(isSecondLibraryOpen(lab.path)).toBe(false);
      });
      console.log(
        `checkpoint ${durationMs.toFixed(0)} ms, longest stall ${stallMs.toFixed(0)} ms, ${syncs} other syncs`,
      );
      // On this thread it stalls for half of its time or more, in a worker for some twentieth.
      return stallMs < durationMs / 4 && syncs > 2;
    });
    expect(await areLocksHeld(lab)).toBe(true);

    app.exec('INSERT INTO t (v) VALUES (1)');
    await db.sync();
    expect(lab.snapshots()).toEqual(['first sync']);
    await lab.verify();
    await other.verify();
  });
});

describe.each(drivers)('beside a writer that is as fast as Litestream, with $name', (driver) => {
  const works = {
    sync: async (db: DB) => {
      await db.sync();
    },
    snapshot: async (db: DB) => {
      const snapshot = await db.snapshot();
      await snapshot[Symbol.asyncDispose]();
    },
    checkpoint: async (db: DB) => {
      await db.checkpoint('PASSIVE').catch((error: unknown) => {
        if (!isLitestreamError(error) || error.code !== 'DATABASE_BUSY') throw error;
      });
    },
  };

  it.each(['sync', 'snapshot', 'checkpoint'] as const)('a %s ends', async (work) => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const db = lab.db({ maxSyncWalBytes: 1 << 20 });
    await db.open();
    await db.sync();
    app.exec(`INSERT INTO t (v) VALUES (zeroblob(${work === 'checkpoint' ? LARGE : 3_000_000}))`);
    let commits = 0;
    // Each time that a part of the WAL was read, as much again is written.
    db.onChange(() => {
      if (commits >= 200) return;
      commits += 1;
      try {
        app.exec('INSERT INTO t (v) VALUES (zeroblob(3000000))');
      } catch (error) {
        // Behind the barrier.
        if (!/locked/.test(String(error))) throw error;
      }
    });
    await works[work](db);
    expect(commits).toBeLessThan(100);
    commits = 200;
    await db.sync();
    await lab.verify();
  });
});

describe('where no worker can load the library', () => {
  it('the checkpoint is made on this thread', async () => {
    const [nodeSqlite] = drivers as [SqliteDriver];
    const { inWorker: _inWorker, ...driver } = nodeSqlite;
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const db = lab.db();
    const results: { log: number; checkpointed: number }[] = [];
    db.onCheckpoint((result) => void results.push(result));
    await db.open();
    await db.sync();
    app.exec('INSERT INTO t (v) VALUES (zeroblob(40000000))');
    await db.checkpoint('PASSIVE');
    expect(results[0]?.checkpointed).toBe(results[0]?.log);
    await lab.verify();
  });
});
