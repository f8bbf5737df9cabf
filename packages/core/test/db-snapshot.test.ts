import {
  closeSync,
  createReadStream,
  ftruncateSync,
  openSync,
  readdirSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { LtxDecoder, lockPageNumber } from '@litestream/ltx';
import { describe, expect, it } from 'vitest';
import type { Logger, SnapshotStream, WriteProgress } from '../src/index.ts';
import { hasCode, silentLogger } from '../src/index.ts';
import { Lab, applyLtx, compare, drivers } from './helpers/db-lab.ts';

describe.each(drivers)('snapshot with $name', (driver) => {
  it('holds the whole database at the position, can be read twice, and is removed when disposed of', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    await db.sync();
    await db.checkpoint('TRUNCATE');
    for (const statement of ['', 'DELETE FROM t WHERE id < 20', '']) {
      app.exec(statement === '' ? 'INSERT INTO t (payload) VALUES (randomblob(300000))' : statement);
      const snapshot = await db.snapshot();
      expect(snapshot.position).toEqual(db.position);
      const whole = await applyLtx(Buffer.alloc(0), snapshot.body);
      compare(whole, lab.source());
      let size = 0;
      for await (const chunk of snapshot.body) size += chunk.length;
      expect(size).toBe(snapshot.size);
      await snapshot[Symbol.asyncDispose]();
      expect(readdirSync(db.metaPath)).toEqual(['ledger', 'lock', 'lock-holder.json', 'ltx', 'rest.json']);
    }
  });

  it.each([
    ['and checkpoints go on', false],
    ['restart the log that it is read from', true],
  ])('is made in a worker if it is big, while writes %s', async (_what, backfilled) => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    app.exec(
      'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) ' +
        'INSERT INTO t (payload) SELECT randomblob(5000) FROM n',
    );
    const db = lab.db();
    await db.open();
    await db.sync();
    // On a busy machine the worker may be done before this thread has had its turns: then once more.
    for (let writes = 0; writes <= 3;) {
      // With all of the log in the database file, the next write begins at the log's start: over the frames to be read.
      if (backfilled) await db.checkpoint('PASSIVE');
      writes = 0;
      const writer = setInterval(() => {
        app.exec('UPDATE t SET payload = randomblob(5000) WHERE id % 600 = 1');
        app.get(`PRAGMA wal_checkpoint(${['PASSIVE', 'TRUNCATE'][writes++ % 2]})`);
      }, 4);
      await using snapshot = await db.snapshot().finally(() => clearInterval(writer));
      compare(await applyLtx(Buffer.alloc(0), snapshot.body), await lab.rebuild(snapshot.position.txid));
    }
    await db.sync();
    await expect(lab.verify()).resolves.toBeUndefined();
  });

  it('tells how far a big file is, and when that has ended', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (payload BLOB); INSERT INTO t VALUES (zeroblob(80000000))');
    const told: (WriteProgress | undefined)[] = [];
    const db = lab.db({ onProgress: (progress) => void told.push(progress), maxSyncWalBytes: 0 });
    await db.open();
    await db.sync();
    const first = told.splice(0);
    await (await db.snapshot())[Symbol.asyncDispose]();
    const size = lab.source().length;
    for (const each of [first, told]) {
      expect(each.at(-1)).toBeUndefined();
      const steps = each.slice(0, -1);
      expect(steps[0]?.bytesDone).toBe(0);
      for (const [index, step] of steps.entries()) {
        expect(step?.bytesTotal).toBe(size);
        expect(step?.bytesDone).toBeGreaterThanOrEqual(steps[index - 1]?.bytesDone ?? 0);
        expect(step?.bytesDone).toBeLessThanOrEqual(step?.bytesTotal ?? 0);
      }
    }
    await db.close();
    const stop = new AbortController();
    told.length = 0;
    const aborting = lab.db({ onProgress: (progress) => (told.push(progress), stop.abort()) });
    await aborting.open();
    await expect(aborting.snapshot({ signal: stop.signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect([told[0]?.bytesDone, told.at(-1)]).toEqual([0, undefined]);
  });

  it('is refused where the log is replaced under it, and not taken for the whole database', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (payload BLOB)');
    const log = `${lab.path}-wal`;
    let armed = false;
    const logger: Logger = {
      ...silentLogger,
      child: () => logger,
      // The last thing that is said before the log is opened for the snapshot.
      debug(message) {
        if (!armed || message !== 'sync') return;
        armed = false;
        renameSync(log, `${log}-away`);
        writeFileSync(log, '');
      },
    };
    const db = lab.db({ logger });
    await db.open();
    await db.sync();
    app.exec("INSERT INTO t (payload) VALUES ('only in the log')");
    armed = true;
    const outcome = await db.snapshot().then(
      () => 'taken',
      (error: unknown) => error,
    );
    expect(hasCode(outcome, 'UNAVAILABLE') || hasCode(outcome, 'WAL_LOST'), String(outcome)).toBe(true);
    renameSync(`${log}-away`, log);
    await using snapshot = await db.snapshot();
    compare(await applyLtx(Buffer.alloc(0), snapshot.body), lab.source());
  });

  it('is cut short when the database is closed', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (payload BLOB)');
    for (let index = 0; index < 20; index++) app.exec('INSERT INTO t (payload) VALUES (randomblob(1000000))');
    // On a busy machine the worker may be done before this thread gets to closing: then once more.
    for (let isCutShort = false; !isCutShort;) {
      const db = lab.db();
      await db.open();
      await db.sync();
      const outcome = db.snapshot().catch((error: unknown) => error);
      for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate);
      await db.close();
      const ended = await outcome;
      isCutShort = ended instanceof Error;
      if (isCutShort) expect(hasCode(ended, 'ABORTED') || hasCode(ended, 'INVALID_ARGUMENT'), String(ended)).toBe(true);
      else await (ended as SnapshotStream)[Symbol.asyncDispose]();
      expect(readdirSync(db.metaPath).filter((name) => name !== 'rest.json' && name !== 'ledger')).toEqual([
        'lock',
        'ltx',
      ]);
    }
  });
});

describe('the lock page', () => {
  it.each([4096, 8192, 16384, 32768])(
    'is left out of a sparse database past 1 GiB of %i-byte pages',
    async (pageSize) => {
      await using lab = new Lab();
      const app = lab.app([`PRAGMA page_size = ${pageSize}`]);
      app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
      app.exec('INSERT INTO t (payload) VALUES (randomblob(100))');
      app.get('PRAGMA wal_checkpoint(TRUNCATE)');
      lab.closeApp(app);
      // Grown by hand to just below the lock page: a header that says so, and pages that nobody refers to.
      const lockPage = lockPageNumber(pageSize);
      const pages = lockPage - 6;
      growSparse(lab.path, pageSize, pages);
      const again = lab.app();
      const db = lab.db();
      await db.open();
      await db.sync();
      again.exec(`INSERT INTO t (payload) VALUES (randomblob(${pageSize * 8}))`);
      await db.sync();
      const headers = await lab.headers();
      expect(headers.at(-1)?.commit).toBeGreaterThan(lockPage);
      const file = db.localLtx(0).last()?.path ?? '';
      const decoder = new LtxDecoder(createReadStream(file));
      const pgnos: number[] = [];
      for await (const batch of decoder.batches()) pgnos.push(...batch.pgnos);
      await decoder.finish();
      expect(pgnos).not.toContain(lockPage);
      expect(pgnos).toContain(lockPage - 1);
      expect(pgnos).toContain(lockPage + 1);
      expect(lab.snapshots()).toEqual(['first sync']);
    },
  );
});

/** Makes the file `pages` long without writing them. Run while no connection is open. */
function growSparse(path: string, pageSize: number, pages: number): void {
  const fd = openSync(path, 'r+');
  const count = Buffer.alloc(4);
  count.writeUInt32BE(pages);
  writeSync(fd, count, 0, 4, 28);
  ftruncateSync(fd, pages * pageSize);
  closeSync(fd);
}
