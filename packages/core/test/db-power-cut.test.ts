/** A power cut, or a file system with coarse times, must not mislead the next start. */
import { spawnSync } from 'node:child_process';
import fs, { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DB } from '../src/index.ts';
import { Lab, applyLtx, compare, drivers } from './helpers/db-lab.ts';
import { replaceFs } from './helpers/intercept-fs.ts';

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)';
const INSERT = "INSERT INTO t (v) VALUES ('monday')";

async function start(lab: Lab): Promise<DB> {
  const db = lab.db();
  await db.open();
  await db.sync();
  return db;
}

/** An application that runs, commits, and closes the database: all of it is in the file then. */
function run(lab: Lab, sql: string): void {
  const script =
    "const {DatabaseSync}=require('node:sqlite');const d=new DatabaseSync(process.argv[1]);d.exec(process.argv[2]);d.close()";
  const { status, stderr } = spawnSync(process.execPath, ['--no-warnings', '-e', script, lab.path, sql], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}

function touch(...args: readonly string[]): void {
  expect(spawnSync('touch', args).status).toBe(0);
}

describe.each(drivers)('with $name', (driver) => {
  it('the file holds a commit, and has the time of before it: it is not taken for the file of the clean stop', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    lab.closeApp(app);
    await db.close();
    const before = statSync(lab.path, { bigint: true });
    const reference = join(lab.folder, 'reference');
    touch('-r', lab.path, reference);
    run(lab, "UPDATE t SET v = 'friday'");
    // `fdatasync` has made the pages durable, and not the time.
    touch('-r', reference, lab.path);
    const after = statSync(lab.path, { bigint: true });
    expect([after.size, after.mtimeNs]).toEqual([before.size, before.mtimeNs]);
    const path = join(db.metaPath, 'rest.json');
    const record = JSON.parse(readFileSync(path, 'utf8')) as { bootId?: string };
    // Only where the system tells its starts apart.
    if (record.bootId === undefined) return;
    writeFileSync(path, JSON.stringify({ ...record, bootId: 'of the start before' }));
    await start(lab);
    expect(lab.snapshots().length).toBe(2);
    await lab.verify();
  });

  it('times in whole seconds, or coarser: a commit that leaves the time as it was is not missed', async () => {
    await using lab = new Lab(driver);
    const original = fs.fstatSync as (...args: unknown[]) => unknown;
    using _ = replaceFs('fstatSync', (...args) => {
      const stats = original.apply(fs, args) as BigIntStats;
      // So coarse that the test does not depend on when it runs.
      if (typeof stats.mtimeNs === 'bigint') stats.mtimeNs -= stats.mtimeNs % 10n ** 15n;
      return stats;
    });
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    lab.closeApp(app);
    await db.close();
    const record = JSON.parse(readFileSync(join(db.metaPath, 'rest.json'), 'utf8')) as { kind: string };
    expect(record.kind).not.toBe('at-rest');
    run(lab, "UPDATE t SET v = 'friday'");
    await start(lab);
    await lab.verify();
  });

  it('the WAL lost commits that were replicated: it warns, goes on as the database is, and they can be restored', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, 'PRAGMA synchronous = NORMAL', INSERT]);
    app.exec('PRAGMA wal_autocheckpoint = 0');
    const db = await start(lab);
    // What the disk has when the power fails, and what it lacks.
    const durable = statSync(`${lab.path}-wal`).size;
    app.exec("INSERT INTO t (v) VALUES ('shown, replicated, and not durable')");
    await db.sync();
    const lost = db.position.txid;
    const shown = lab.source();
    await lab.closeWhileLocked(db, app);
    const wal = readFileSync(`${lab.path}-wal`);
    lab.closeApp(app);
    // The last connection has moved everything to the file: rebuild the earlier state.
    await using cut = new Lab(driver);
    let database: Buffer = Buffer.alloc(0);
    for (const file of db.localLtx(0).list()) {
      if (file.maxTxid < lost) database = await applyLtx(database, fs.createReadStream(file.path));
    }
    writeFileSync(cut.path, database);
    writeFileSync(`${cut.path}-wal`, wal);
    truncateSync(`${cut.path}-wal`, durable);
    rmSync(`${cut.path}-shm`, { force: true });
    expect(spawnSync('cp', ['-a', db.metaPath, join(cut.folder, '.app.db-litestream')]).status).toBe(0);

    const again = await start(cut);
    const warning = cut.logger.lines.find(({ message }) =>
      message.startsWith('the database has changed since replication stopped'),
    );
    expect(warning).toMatchObject({ level: 'warn', fields: { txid: lost.toString(16).padStart(16, '0') } });
    expect(again.position.txid).toBe(lost + 1n);
    await cut.verify();
    compare(await cut.rebuild(lost), shown);
  });
});
