/** What other programs and people do to the files of a database while it is followed: nothing acknowledged is lost. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SqliteDriver } from '../src/index.ts';
import { FileClient, Replica, guardClient, hasCode, restore } from '../src/index.ts';
import { Lab, compare, drivers, randomFrom, seedOf } from './helpers/db-lab.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const seed = seedOf('hostile');

/** Rows of `t` in a database that is given as bytes; throws unless SQLite finds it whole. */
function rowsIn(lab: Lab, database: Buffer): number {
  const path = join(lab.folder, 'check.db');
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  writeFileSync(path, database);
  const connection = lab.driver.open(path);
  try {
    expect(connection.get('PRAGMA integrity_check')?.['integrity_check']).toBe('ok');
    return Number(connection.get('SELECT COUNT(*) AS n FROM t')?.['n']);
  } finally {
    connection.close();
  }
}

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)';
const INSERT = 'INSERT INTO t (payload) VALUES (randomblob(5000))';

describe.each(drivers)('with $name', (driver: SqliteDriver) => {
  it('a metadata folder that is removed while replicating is made again, and the replica misses nothing', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE]);
    const db = lab.db();
    const client = guardClient(new FileClient({ path: join(lab.folder, 'replica') }));
    const replica = new Replica(client, db, { logger: lab.logger });
    await db.open({ history: replica });
    await replica.replicated();
    for (const [round, when] of (['uploaded', 'not uploaded'] as const).entries()) {
      app.exec(INSERT);
      if (when === 'uploaded') await replica.replicated();
      else await db.sync();
      removeFolder(db.metaPath);
      app.exec(INSERT);
      await replica.replicated();
      expect(replica.position.txid).toBe(db.position.txid);
      const output = join(lab.folder, `restored-${round}.db`);
      await restore(client, { output });
      compare(readFileSync(output), lab.source());
    }
  });

  it('a database that is renamed over the one that is followed goes on as a new chapter, and the old one stays', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT, INSERT]);
    const db = lab.db();
    const client = guardClient(new FileClient({ path: join(lab.folder, 'replica') }));
    const replica = new Replica(client, db, { logger: lab.logger });
    await db.open({ history: replica });
    await replica.replicated();
    const before = replica.position.txid;
    const old = lab.source();
    lab.closeApp(app);
    const other = join(lab.folder, 'other.db');
    writeFileSync(other, '');
    const maker = driver.open(other);
    for (const sql of [TABLE, INSERT, INSERT, INSERT]) maker.exec(sql);
    maker.close();
    for (const suffix of ['-wal', '-shm']) rmSync(lab.path + suffix, { force: true });
    renameSync(other, lab.path);
    const again = lab.app();
    again.exec(INSERT);
    await replica.replicated();
    expect(replica.position.txid).toBeGreaterThan(before);
    const newest = join(lab.folder, 'newest.db');
    await restore(client, { output: newest });
    compare(readFileSync(newest), lab.source());
    expect(rowsIn(lab, readFileSync(newest))).toBe(4);
    const earlier = join(lab.folder, 'earlier.db');
    await restore(client, { output: earlier, txid: before });
    compare(readFileSync(earlier), old);
  });

  it('two on the same database whose lock is gone are told so, and leave one unbroken history', async () => {
    await using lab = new Lab(driver);
    const random = randomFrom(seed);
    const app = lab.app([TABLE]);
    // Longer than a machine stops while one waits for the other's transaction.
    const both = [lab.db({ busyTimeoutMs: 60_000 }), lab.db({ busyTimeoutMs: 60_000 })] as const;
    for (const db of both) {
      await db.open();
      rmSync(join(db.metaPath, 'lock'));
    }
    const refusals: unknown[] = [];
    for (let step = 0; step < 60; step++) {
      app.exec(INSERT);
      // As on a file system that grants a lock to all who ask.
      rmSync(join(both[0].metaPath, 'lock'), { force: true });
      const chosen = random() < 0.4 ? both : [both[random() < 0.5 ? 0 : 1]];
      const results = await Promise.allSettled(chosen.map((db) => db.sync()));
      refusals.push(...results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : [])));
    }
    expect(refusals.length).toBeGreaterThan(0);
    for (const refusal of refusals) {
      expect(hasCode(refusal, 'ALREADY_EXISTS'), String(refusal)).toBe(true);
      expect(String(refusal)).toContain('another process replicates this database');
    }
    rmSync(join(both[0].metaPath, 'lock'), { force: true });
    await both[0].sync().catch(() => both[0].sync());
    await lab.verify();
    // Either may have tried the first file.
    expect(new Set(lab.snapshots())).toEqual(new Set(['first sync']));
  });

  it('a program that replaces our last file, as upstream would, is noticed before the next one is cut', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE]);
    const db = lab.db();
    await db.open();
    await db.sync();
    app.exec(INSERT);
    await db.sync();
    const { path } = db.localLtx(0).last() ?? {};
    if (path === undefined) throw new Error('no local file');
    writeFileSync(`${path}.copy`, readFileSync(path));
    renameSync(`${path}.copy`, path);
    app.exec(INSERT);
    await expect(db.sync()).rejects.toThrow('another process replicates this database');
    await db.sync();
    await lab.verify();
    expect(rowsIn(lab, await lab.rebuild())).toBe(2);
  });
});
