import { appendFileSync, openSync, readFileSync, statSync } from 'node:fs';
import { kernel } from '@litestream/ltx';
import { describe, expect, it } from 'vitest';
import { WalIndex } from '../src/sqlite/wal/wal-index-image.ts';
import { endOffsetOf } from '../src/sqlite/wal/wal-end.ts';
import { Lab, compare, drivers } from './helpers/db-lab.ts';

const rows = (count: number, size: number): string =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) ` +
  `INSERT INTO t (payload) SELECT randomblob(${size}) FROM n`;

describe.each(drivers)('sync with $name', (driver) => {
  it('writes each batch of commits as one level-0 file of one transaction', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    const seen: bigint[] = [];
    db.onChange((position) => seen.push(position.txid));
    await db.open();
    expect(await db.sync()).toEqual({ txid: 1n });
    for (let index = 0; index < 3; index++) app.exec(rows(5, 100));
    expect(await db.sync()).toEqual({ txid: 2n });
    expect(await db.sync()).toEqual({ txid: 2n });
    app.exec(rows(5, 100));
    expect(await db.sync()).toEqual({ txid: 3n });
    expect(seen).toEqual([1n, 2n, 3n]);
    expect(lab.snapshots()).toEqual(['first sync']);
    const headers = await lab.headers();
    for (const [index, header] of headers.entries()) {
      expect(header.minTxid).toBe(BigInt(index + 1));
      expect(header.maxTxid).toBe(header.minTxid);
      expect(header.flags).toBe(2);
      // What upstream needs to take over safely: it reads the log from its beginning, or makes a snapshot.
      expect([header.walOffset, header.walSize]).toEqual([32, 0]);
      expect(Math.abs(header.timestampMs - Date.now())).toBeLessThan(60_000);
    }
    const ends = headers.map((header) => endOffsetOf(header));
    expect(ends).toEqual(ends.toSorted((a, b) => a - b));
    expect(statSync(`${lab.path}-wal`).size).toBe(ends[2]);
    await lab.verify();
  });

  it.each([512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])('follows pages of %i bytes', async (pageSize) => {
    await using lab = new Lab(driver);
    const app = lab.app([`PRAGMA page_size = ${pageSize}`]);
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    for (let round = 0; round < 3; round++) {
      app.exec(rows(20, pageSize));
      await db.sync();
    }
    expect(db.pageSize).toBe(pageSize);
    expect((await lab.headers()).map((header) => header.pageSize)).toEqual([pageSize, pageSize, pageSize]);
    await lab.verify();
  });

  it('follows growth, deletion, VACUUM and growth again', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    for (let round = 0; round < 3; round++) {
      app.exec(rows(500, 1000));
      await db.sync();
      app.exec('DELETE FROM t WHERE id % 3 > 0');
      await db.sync();
      app.exec('VACUUM');
      await db.sync();
      await lab.verify();
      app.exec(rows(700, 1000));
      app.exec('DELETE FROM t');
      app.exec('VACUUM');
      app.exec(rows(50, 1000));
      await db.sync();
      await lab.verify();
    }
    expect(lab.snapshots()).toEqual(['first sync']);
  });

  it('fills pages that the database gained without a frame', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    app.exec(rows(50, 1000));
    const db = lab.db();
    await db.open();
    await db.sync();
    const large = await lab.rebuild();
    app.exec('DELETE FROM t');
    app.exec('VACUUM');
    await db.sync();
    const small = await lab.rebuild();
    expect(small.length).toBeLessThan(large.length);
    // SQLite writes every page that it allocates, so the commit that grows the database by name only is made by hand.
    const pageCount = large.length / 4096 + 2;
    appendCommit(lab.path, small.subarray(0, 4096), pageCount);
    expect((await db.sync()).txid).toBe(3n);
    const expected = Buffer.alloc(pageCount * 4096);
    large.copy(expected);
    small.copy(expected);
    compare(await lab.rebuild(), expected);
  });

  it.each(['FULL', 'INCREMENTAL'])('follows auto_vacuum = %s', async (mode) => {
    await using lab = new Lab(driver);
    const app = lab.app([`PRAGMA auto_vacuum = ${mode}`]);
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    for (let round = 0; round < 4; round++) {
      app.exec(rows(300, 2000));
      await db.sync();
      app.exec('DELETE FROM t WHERE id % 2 = 0');
      app.exec('PRAGMA incremental_vacuum(50)');
      await db.sync();
    }
    await lab.verify();
    expect(lab.snapshots()).toEqual(['first sync']);
  });

  it('leaves out what a transaction spilled and rolled back, and keeps what is committed after it', async () => {
    await using lab = new Lab(driver);
    const app = lab.app(['PRAGMA cache_size = 10']);
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    await db.sync();
    for (let round = 0; round < 5; round++) {
      const { txid } = db.position;
      app.exec('BEGIN');
      app.exec(rows(400, 1500));
      expect((await db.sync()).txid).toBe(txid);
      app.exec(round % 2 === 0 ? 'ROLLBACK' : 'COMMIT');
      await db.sync();
      app.exec(rows(3, 1500));
      await db.sync();
      await lab.verify();
    }
    expect(lab.snapshots()).toEqual(['first sync']);
  });

  it('takes a transaction of 5000 pages as one file, and cuts a long log at commits', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db({ maxSyncWalBytes: 1024 * 1024 });
    await db.open();
    await db.sync();
    app.exec(rows(5000, 4000));
    expect((await db.sync()).txid).toBe(2n);
    for (let index = 0; index < 40; index++) app.exec(rows(30, 4000));
    await db.sync();
    expect(db.position.txid).toBeGreaterThan(4n);
    const headers = await lab.headers();
    const ends = headers.map((header) => endOffsetOf(header));
    for (const [index, end] of ends.slice(2, -1).entries()) {
      const size = end - (ends[index + 1] ?? 0);
      expect(size).toBeGreaterThanOrEqual(1024 * 1024);
      expect(size).toBeLessThan(1.4 * 1024 * 1024);
    }
    await lab.verify();
  });

  it.each(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'])(
    'loses nothing and writes no needless snapshot when the application checkpoints %s',
    async (mode) => {
      await using lab = new Lab(driver);
      const app = lab.app();
      app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
      const db = lab.db();
      await db.open();
      await db.sync();
      for (let round = 0; round < 12; round++) {
        app.exec(rows(10, 500));
        if (round % 2 === 0) await db.sync();
        app.get(`PRAGMA wal_checkpoint(${mode})`);
        app.get(`PRAGMA wal_checkpoint(${mode})`);
        app.exec(rows(10, 500));
        if (round % 3 === 0) await db.sync();
        if (round % 4 === 0) await db.checkpoint('PASSIVE');
        app.get(`PRAGMA wal_checkpoint(${mode})`);
      }
      await db.sync();
      await lab.verify();
      expect(lab.snapshots()).toEqual(['first sync']);
    },
  );

  it('goes on without a snapshot where an idle log was emptied several times', async () => {
    await using lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    await db.sync();
    await db.checkpoint('PASSIVE');
    for (let index = 0; index < 3; index++) {
      expect(app.get('PRAGMA wal_checkpoint(TRUNCATE)')?.['busy']).toBe(0);
      await db.sync();
    }
    app.exec(rows(3, 100));
    await db.sync();
    expect(lab.snapshots()).toEqual(['first sync']);
    await lab.verify();
  });
});

/** Appends a frame with page 1 and a commit to a WAL that ends with its last commit. */
function appendCommit(path: string, page: Uint8Array, pageCount: number): void {
  const wal = readFileSync(`${path}-wal`);
  const last = wal.subarray(wal.length - 24 - page.length);
  const header = Buffer.alloc(24);
  header.writeUInt32BE(1, 0);
  header.writeUInt32BE(pageCount, 4);
  last.copy(header, 8, 8, 16);
  const bigEndian = wal.readUInt32BE(0) === 0x377f0683;
  const seed = kernel().walChecksum(header.subarray(0, 8), bigEndian, last.readUInt32BE(16), last.readUInt32BE(20));
  const sums = kernel().walChecksum(page, bigEndian, seed.s0, seed.s1);
  header.writeUInt32BE(sums.s0, 16);
  header.writeUInt32BE(sums.s1, 20);
  appendFileSync(`${path}-wal`, Buffer.concat([header, page]));
  // Never closed: that would drop the locks of this process.
  const index = new WalIndex(openSync(`${path}-shm`, 'r+'), path);
  const before = index.readHeader();
  const appender = index.appender(before.frameCount);
  appender.append(1);
  appender.flush();
  const { changeCount, frameCount } = before;
  index.writeHeader({ ...before, changeCount: changeCount + 1, frameCount: frameCount + 1, pageCount, ...sums });
}
