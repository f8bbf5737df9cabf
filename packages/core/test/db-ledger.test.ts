/** Each level-0 file states the checksum of the database after it. A comparison finds the pages that differ after downtime. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LtxHeader } from '@litestream/ltx';
import { until } from '../../../tests/support/wait.ts';
import type { DB, SqliteConnection } from '../src/index.ts';
import { FileClient, guardClient, Replica, restore } from '../src/index.ts';
import { readLedger } from '../src/ledger/ledger-file.ts';
import { checksumOf, compare, drivers, Lab, randomFrom, seedOf } from './helpers/db-lab.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const seed = seedOf('page ledger');
const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)';
/** Some 400 pages of 4 KiB. */
const FILL =
  'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) INSERT INTO t SELECT i, randomblob(900) FROM n';

async function start(lab: Lab): Promise<DB> {
  const db = lab.db();
  await db.open();
  await db.sync();
  return db;
}

const statedBy = ({ extension }: LtxHeader): bigint => extension?.databaseChecksum ?? 0n;

async function lastHeader(lab: Lab): Promise<LtxHeader> {
  const header = (await lab.headers()).at(-1);
  if (header === undefined) throw new Error('there is no level-0 file');
  return header;
}

/** Pages of the last level-0 file. */
function pagesOfLast(db: DB): number {
  const path = db.localLtx(0).last()?.path ?? '';
  // Frames of random bytes do not compress.
  return Math.floor(readFileSync(path).length / 4096);
}

function randomChange(app: SqliteConnection, random: () => number): void {
  const id = 1 + Math.floor(random() * 1500);
  const dice = random();
  if (dice < 0.5) app.exec(`UPDATE t SET v = randomblob(${Math.floor(random() * 2000)}) WHERE id = ${id}`);
  else if (dice < 0.8) app.exec(`INSERT INTO t (v) VALUES (randomblob(${Math.floor(random() * 20_000)}))`);
  else if (dice < 0.95) app.exec(`DELETE FROM t WHERE id % 40 = ${id % 40}`);
  else app.exec('VACUUM');
}

describe.each(drivers)('with $name', (driver) => {
  it('states the checksums of the database before and after each file, through growth, VACUUM, checkpoints and restarts', async () => {
    const random = randomFrom(seed);
    await using lab = new Lab(driver);
    const app = lab.app([`PRAGMA auto_vacuum = ${Math.floor(random() * 3)}`, TABLE, FILL]);
    let db = await start(lab);
    for (let step = 0; step < 30; step++) {
      for (let count = Math.floor(random() * 4); count > 0; count--) randomChange(app, random);
      const dice = random();
      if (dice < 0.1) await db.checkpoint('TRUNCATE');
      else if (dice < 0.15) {
        await db.close();
        db = await start(lab);
      } else if (dice < 0.2) {
        await lab.closeWhileLocked(db, app);
        db = await start(lab);
      }
      await db.sync();
    }
    await lab.verify();
    let before = 0n;
    for await (const { header, database } of lab.states()) {
      expect(statedBy(header), `SEED=${seed} TXID ${header.maxTxid}`).toBe(checksumOf(database));
      expect(header.extension?.previousChecksumHigh).toBe(Number(before >> 32n));
      before = statedBy(header);
    }
    expect(before).not.toBe(0n);
  });

  it('takes only the pages that differ after a stop, however they were changed', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, FILL]);
    const db = await start(lab);
    const whole = pagesOfLast(db);
    await db.close();
    app.exec('UPDATE t SET v = randomblob(900) WHERE id BETWEEN 700 AND 710');
    app.get('PRAGMA wal_checkpoint(TRUNCATE)');
    const again = await start(lab);
    expect(again.position.txid).toBe(2n);
    expect(pagesOfLast(again)).toBeLessThan(10);
    expect(whole).toBeGreaterThan(300);
    await lab.verify();
    // The next transactions continue from there.
    app.exec('UPDATE t SET v = randomblob(900) WHERE id = 3');
    await again.sync();
    await lab.verify();
    expect(statedBy(await lastHeader(lab))).not.toBe(0n);
  });

  it('takes only the pages that differ when an older copy was put back', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, FILL]);
    const db = await start(lab);
    await db.checkpoint('TRUNCATE');
    await db.close();
    const older = readFileSync(lab.path);
    const second = await start(lab);
    app.exec('UPDATE t SET v = randomblob(900) WHERE id BETWEEN 100 AND 130; DELETE FROM t WHERE id > 1400');
    await second.sync();
    lab.closeApp(app);
    await second.close();
    for (const suffix of ['-wal', '-shm']) rmSync(lab.path + suffix, { force: true });
    writeFileSync(lab.path, older);
    const third = await start(lab);
    expect(pagesOfLast(third)).toBeLessThan(80);
    await lab.verify();
  });

  it('takes only the pages that differ when the database was restored, or the metadata folder is lost', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, FILL]);
    const client = new FileClient({ path: join(lab.folder, 'replica') });
    const replicate = async (db: DB): Promise<void> => {
      const replica = new Replica(guardClient(client), db);
      await db.open({ history: replica });
      await replica.replicated();
      await db.close();
    };
    await replicate(lab.db());
    app.exec('UPDATE t SET v = randomblob(900) WHERE id = 700');
    lab.closeApp(app);
    const db = lab.db();
    await replicate(db);

    removeFolder(db.metaPath);
    await replicate(lab.db());
    const sizes = (await Array.fromAsync(client.ltxFiles(0, {}))).map(({ size }) => size);
    expect(Math.max(...sizes.slice(1))).toBeLessThan(10 * 4096);

    await using elsewhere = new Lab(driver);
    await restore(client, { output: elsewhere.path });
    const next = elsewhere.app();
    next.exec('UPDATE t SET v = randomblob(900) WHERE id = 800');
    await replicate(elsewhere.db());
    const files = await Array.fromAsync(client.ltxFiles(0, {}));
    expect(files.length).toBeGreaterThan(sizes.length);
    expect(Math.max(...files.slice(1).map(({ size }) => size))).toBeLessThan(20 * 4096);
    const output = join(elsewhere.folder, 'again.db');
    expect((await restore(client, { output })).proven).toBe(true);
    compare(readFileSync(output), elsewhere.source());
  });

  it('does not take an older copy for the newest state where the same bytes differ in two pages', async () => {
    await using lab = new Lab(driver);
    const client = new FileClient({ path: join(lab.folder, 'replica') });
    const replicate = async (db: DB): Promise<void> => {
      const replica = new Replica(guardClient(client), db);
      await db.open({ history: replica });
      await replica.replicated();
      await db.close();
    };
    // Two pages of four rows each: the update changes one byte of each row.
    const app = lab.app([
      'CREATE TABLE t (id INTEGER PRIMARY KEY, done INT, v TEXT)',
      'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8) INSERT INTO t SELECT i, 0, hex(zeroblob(500)) FROM n',
    ]);
    await replicate(lab.db());
    const older = readFileSync(lab.path);
    const db = lab.db();
    await db.open();
    app.exec('UPDATE t SET done = 1');
    await db.close();
    await replicate(lab.db());
    lab.closeApp(app);
    removeFolder(db.metaPath);
    for (const suffix of ['-wal', '-shm']) rmSync(lab.path + suffix, { force: true });
    writeFileSync(lab.path, older);
    await replicate(lab.db());
    const output = join(lab.folder, 'restored.db');
    expect((await restore(client, { output })).proven).toBe(true);
    compare(readFileSync(output), lab.source());
  });

  it('takes every page where the ledger is lost, and is not certain of the next file without reading all of them', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, FILL]);
    const db = await start(lab);
    await lab.closeWhileLocked(db, app);
    const path = join(db.metaPath, 'ledger');
    expect(existsSync(path)).toBe(true);
    rmSync(path);
    const second = await start(lab);
    app.exec('UPDATE t SET v = randomblob(900) WHERE id = 3');
    await second.sync();
    expect(statedBy(await lastHeader(lab))).toBe(0n);
    const checksum = checksumOf(lab.source());
    // A snapshot reads all pages, and makes a commit of its own that states them.
    await using snapshot = await second.snapshot();
    expect(snapshot.header.extension?.databaseChecksum).toBe(checksum);
    await second.sync();
    expect(statedBy(await lastHeader(lab))).not.toBe(0n);
    app.exec('UPDATE t SET v = randomblob(900) WHERE id = 4');
    await second.sync();
    await lab.verify();
  });

  it('has the ledger on the disk as soon as there is one, also in a process that has just started', async () => {
    await using lab = new Lab(driver);
    lab.app([TABLE, FILL]);
    const { metaPath } = await start(lab);
    expect(readLedger(metaPath, 10_000)?.databaseChecksum).toBe(statedBy(await lastHeader(lab)));
  });

  it('rebuilds a lost ledger while it monitors the database', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, FILL]);
    const db = await start(lab);
    await lab.closeWhileLocked(db, app);
    rmSync(join(db.metaPath, 'ledger'));
    const second = lab.db({ monitorIntervalMs: 20, syncIntervalMs: 20 });
    await second.open();
    second.start();
    await until('a file that states its database', async () => {
      app.exec('UPDATE t SET v = randomblob(900) WHERE id = 3');
      await second.sync();
      return statedBy(await lastHeader(lab)) !== 0n;
    });
    await second.stop();
    await second.sync();
    await lab.verify();
    expect(statedBy(await lastHeader(lab))).toBe(checksumOf(lab.source()));
  });

  it.each(['an entry', 'the end', 'the header'])('does not trust a ledger with a fault in %s', async (place) => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, FILL]);
    const db = await start(lab);
    await lab.closeWhileLocked(db, app);
    const path = join(db.metaPath, 'ledger');
    const bytes = readFileSync(path);
    const at = place === 'the header' ? 30 : 48 + 8 * 77;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path, place === 'the end' ? bytes.subarray(0, bytes.length - 8) : bytes);
    const second = await start(lab);
    app.exec('UPDATE t SET v = randomblob(900) WHERE id = 3');
    await second.sync();
    expect(statedBy(await lastHeader(lab))).toBe(0n);
    await lab.verify();
  });

  it('finds a page that another program changed when a snapshot is taken, and replicates it', async () => {
    await using lab = new Lab(driver);
    lab.app([TABLE, FILL, 'PRAGMA wal_autocheckpoint = 0']);
    const db = await start(lab);
    await db.checkpoint('TRUNCATE');
    await db.close();
    const second = await start(lab);
    // In a separate process, which restores the modification time of the file.
    const script = `const fs = require('node:fs'); const fd = fs.openSync(process.argv[1], 'r+'); const { atime, mtime } = fs.fstatSync(fd);
      fs.writeSync(fd, Buffer.alloc(50, 0x5a), 0, 50, 200 * 4096 + 3000); fs.futimesSync(fd, atime, mtime); fs.closeSync(fd);`;
    expect(spawnSync(process.execPath, ['-e', script, lab.path]).status).toBe(0);
    await expect(second.comparePages()).rejects.toMatchObject({ code: 'DATABASE_CHANGED' });
    await second.sync();
    expect(pagesOfLast(second)).toBeLessThan(10);
    await lab.verify();
    expect(await second.comparePages()).toMatchObject({
      txid: second.position.txid,
      databaseChecksum: checksumOf(lab.source()),
    });
    expect(spawnSync(process.execPath, ['-e', script.replaceAll('200', '250'), lab.path]).status).toBe(0);
    await expect(second.snapshot()).rejects.toMatchObject({ code: 'DATABASE_CHANGED' });
    await second.sync();
    await lab.verify();
    await using snapshot = await second.snapshot();
    expect(snapshot.header.extension?.databaseChecksum).toBe(checksumOf(lab.source()));
  });
});
