import { createReadStream, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DB, History, SqliteConnection, SqliteDriver } from '../src/index.ts';
import { endOffsetOf } from '../src/sqlite/wal/wal-end.ts';
import { Lab, drivers } from './helpers/db-lab.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

async function start(lab: Lab, history?: History): Promise<DB> {
  const db = lab.db();
  await db.open({ history });
  await db.sync();
  return db;
}

function appOf(lab: Lab): SqliteConnection {
  const app = lab.app();
  app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
  return app;
}

function insert(app: SqliteConnection, count = 1, size = 500): void {
  for (let index = 0; index < count; index++) app.exec(`INSERT INTO t (payload) VALUES (randomblob(${size}))`);
}

/** A replica that holds everything a folder of level-0 files held at one time. */
function remember(db: DB): History {
  const files = db
    .localLtx(0)
    .list()
    .map((file) => ({ txid: file.maxTxid, bytes: readFileSync(file.path) }));
  return {
    maxTxid: async () => files.at(-1)?.txid ?? 0n,
    openLevel0: async (txid) => {
      const file = files.find((each) => each.txid === txid);
      return file === undefined ? undefined : once(file.bytes);
    },
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

describe.each(drivers)('restart with $name', (driver: SqliteDriver) => {
  it('costs no snapshot while the application stays open, ten times over', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    for (let round = 0; round < 10; round++) {
      const db = await start(lab);
      insert(app, 3);
      await db.sync();
      if (round % 3 === 0) await db.checkpoint('PASSIVE');
      if (round % 4 === 0) insert(app, 2);
      await db.close();
      insert(app, round % 2);
    }
    await start(lab);
    expect(lab.snapshots()).toEqual(['first sync']);
    await lab.verify();
  });

  it('costs no snapshot when nobody else has the database open', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    insert(app, 5);
    lab.closeApp(app);
    for (let round = 0; round < 3; round++) await (await start(lab)).close();
    expect(lab.snapshots()).toEqual(['first sync']);
    // The database file alone has everything.
    expect(readdirSync(lab.folder)).not.toContain('app.db-wal');
    expect((await lab.headers()).length).toBe(1);
  });

  it('goes on across one restart of the log: first what is left of the old frames, then the new ones', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    insert(app, 60);
    await lab.closeWhileLocked(await start(lab), app);
    insert(app, 7);
    // A page that the new generation does not hold: it proves that the old one was visible to its end.
    app.exec('CREATE TABLE other (v)');
    expect(app.get('PRAGMA wal_checkpoint(RESTART)')?.['busy']).toBe(0);
    insert(app, 2);
    await start(lab);
    expect(lab.snapshots()).toEqual(['first sync']);
    const headers = await lab.headers();
    expect(headers.length).toBe(3);
    expect(headers[1]?.salt1).toBe(headers[0]?.salt1);
    const ends = headers.map((header) => endOffsetOf(header));
    expect(ends[2]).toBeLessThan(ends[0] ?? 0);
    expect(headers[2]?.salt1).not.toBe(headers[1]?.salt1);
    await lab.verify();
  });

  it.each([
    ['restarted twice', 'RESTART', 2],
    ['emptied', 'TRUNCATE', 1],
  ])('takes a snapshot after the log was %s unobserved', async (_what, mode, times) => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    insert(app, 60);
    await (await start(lab)).close();
    for (let time = 0; time < times; time++) {
      insert(app, 3);
      expect(app.get(`PRAGMA wal_checkpoint(${mode})`)?.['busy']).toBe(0);
    }
    insert(app, 2);
    await start(lab);
    expect(lab.snapshots()).toEqual(['first sync', 'wal header salt reset, snapshotting']);
    await lab.verify();
  });

  it('takes a snapshot where the old frames were there when it opened, and are overwritten before they are read', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    insert(app, 60);
    await (await start(lab)).close();
    insert(app, 7);
    app.get('PRAGMA wal_checkpoint(RESTART)');
    insert(app, 2);
    const db = lab.db();
    await db.open();
    insert(app, 90);
    await db.sync();
    expect(lab.snapshots()).toEqual(['first sync', 'wal header salt reset, snapshotting']);
    await lab.verify();
  });

  it('takes a snapshot after the new frames have reached the place where it stopped', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    insert(app, 10);
    await (await start(lab)).close();
    insert(app, 3);
    app.get('PRAGMA wal_checkpoint(RESTART)');
    insert(app, 40);
    await start(lab);
    expect(lab.snapshots()).toEqual(['first sync', 'wal header salt reset, snapshotting']);
    await lab.verify();
  });

  it('takes a snapshot after the log was cut behind the place where it stopped', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    insert(app, 60);
    const db = await start(lab);
    await db.close();
    insert(app, 30);
    const end = (await lab.headers()).map((header) => endOffsetOf(header)).at(-1) ?? 0;
    app.exec(`PRAGMA journal_size_limit = ${end + 4120 * 10 + 100}`);
    app.get('PRAGMA wal_checkpoint(RESTART)');
    insert(app, 1);
    await start(lab);
    expect(lab.snapshots().length).toBe(2);
    await lab.verify();
  });

  it('removes what a crash left between writing and renaming, and writes it again', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const db = await start(lab);
    insert(app, 4);
    await db.sync();
    await lab.closeWhileLocked(db, app);
    const level0 = db.localLtx(0);
    const [file] = level0.list().slice(-1);
    const bytes = readFileSync(file?.path ?? '');
    rmSync(file?.path ?? '');
    writeFileSync(`${file?.path}.tmp`, bytes.subarray(0, 150));
    await start(lab);
    expect(readdirSync(level0.folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(lab.snapshots()).toEqual(['first sync']);
    expect((await lab.headers()).length).toBe(2);
    await lab.verify();
  });

  it.each(['cut', 'flipped', 'empty'])('heals a last file that is %s with a snapshot and one warning', async (how) => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const db = await start(lab);
    insert(app, 4);
    await db.sync();
    await db.close();
    const path = db.localLtx(0).last()?.path ?? '';
    const bytes = readFileSync(path);
    if (how === 'cut') writeFileSync(path, bytes.subarray(0, bytes.length - 20));
    if (how === 'empty') writeFileSync(path, '');
    if (how === 'flipped') {
      bytes[120] = (bytes[120] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    }
    const again = await start(lab);
    expect(again.position.txid).toBe(3n);
    expect(lab.logger.lines.filter((line) => line.level === 'warn').length).toBe(1);
    expect(lab.snapshots()).toEqual(['first sync', 'last local ltx file is damaged']);
    await using base = new Lab(driver);
    expect(base.snapshots()).toEqual([]);
    const snapshot = again.localLtx(0).last();
    const { applyLtx, compare } = await import('./helpers/db-lab.ts');
    compare(await applyLtx(Buffer.alloc(0), createReadStream(snapshot?.path ?? '')), lab.source());
  });

  it('never writes over newer history: a database older than its replica goes on above it', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const db = await start(lab);
    insert(app, 3);
    await db.sync();
    const older = lab.source();
    insert(app, 3);
    await db.sync();
    await db.close();
    const history = remember(db);
    lab.closeApp(app);
    for (const suffix of ['-wal', '-shm']) rmSync(lab.path + suffix, { force: true });
    rmSync(lab.path);
    writeFileSync(lab.path, older);
    rmSync(db.localLtx(0).path(3n, 3n));

    const again = await start(lab, history);
    expect(again.position.txid).toBe(4n);
    const behind = lab.logger.lines.find((line) => line.message === 'detected database behind replica');
    expect(behind?.fields).toEqual({ db_txid: '0000000000000002', replica_txid: '0000000000000003' });
    expect(lab.snapshots().length).toBe(2);
    insert(lab.app(), 1);
    expect((await again.sync()).txid).toBe(5n);
  });

  it('goes on above the replica when its own folder is gone', async () => {
    await using lab = new Lab(driver);
    const app = appOf(lab);
    const db = await start(lab);
    insert(app, 3);
    await db.sync();
    await db.close();
    const history = remember(db);
    removeFolder(db.metaPath);
    insert(app, 3);
    const again = await start(lab, history);
    expect(again.position.txid).toBe(3n);
    await again.close();

    removeFolder(db.metaPath);
    const third = await start(lab, { maxTxid: async () => 9n, openLevel0: async () => undefined });
    expect(third.position.txid).toBe(10n);
    expect(lab.snapshots().at(-1)).toBe('database behind replica');
  });

  it('does not open while the replica cannot be asked, and opens when it can', async () => {
    await using lab = new Lab(driver);
    appOf(lab);
    const db = lab.db();
    const failing: History = {
      maxTxid: () => Promise.reject(new Error('unreachable')),
      openLevel0: async () => undefined,
    };
    await expect(db.open({ history: failing })).rejects.toThrow('unreachable');
    expect(readdirSync(lab.folder).includes(join('.app.db-litestream', 'ltx'))).toBe(false);
    await db.open();
    expect((await db.sync()).txid).toBe(1n);
  });
});
