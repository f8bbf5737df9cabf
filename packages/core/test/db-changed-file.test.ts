/** Another program overwrites the database file: no work of ours hides the change, and no failure loses it. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { until } from '../../../tests/support/wait.ts';
import type { DB, SqliteDriver } from '../src/index.ts';
import { Lab, drivers } from './helpers/db-lab.ts';
import { failWith, interceptFs } from './helpers/intercept-fs.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)';
const INSERT = 'INSERT INTO t (v) VALUES (hex(randomblob(300)))';

async function start(lab: Lab): Promise<DB> {
  const db = lab.db();
  await db.open();
  await db.sync();
  return db;
}

/** A whole database of the same shape, with other rows. */
function monday(lab: Lab): string {
  const path = join(lab.folder, 'monday.db');
  writeFileSync(path, '');
  const connection = lab.driver.open(path);
  connection.get('PRAGMA journal_mode = wal');
  for (const sql of [TABLE, INSERT, INSERT, INSERT]) connection.exec(sql);
  connection.close();
  return path;
}

/** By another process: closing a descriptor of the database in this one would drop SQLite's locks. */
function writeOver(lab: Lab, source: string): void {
  expect(spawnSync('cp', [source, lab.path]).status).toBe(0);
}

/** The driver, with every statement shown to `look`, which may give another one in its place. */
function watched(driver: SqliteDriver, look: (sql: string) => string): SqliteDriver {
  return {
    ...driver,
    open: (...args) => {
      const connection = driver.open(...args);
      return {
        exec: (sql) => connection.exec(look(sql)),
        get: (sql) => connection.get(sql),
        all: (sql) => connection.all(sql),
        close: () => connection.close(),
      };
    },
  };
}

describe.each(drivers)('with $name', (driver) => {
  it('just before a clean stop: the next start does not take it for what was left', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    const source = monday(lab);
    app.get('PRAGMA wal_checkpoint(TRUNCATE)');
    await db.sync();
    lab.closeApp(app);
    writeOver(lab, source);
    await db.close();
    await start(lab);
    expect(lab.snapshots().length).toBe(2);
    await lab.verify();
  });

  it('in the last moment of a clean stop, after its checkpoint', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    const source = monday(lab);
    lab.closeApp(app);
    db.onCheckpoint(({ mode }) => {
      if (mode === 'PASSIVE') writeOver(lab, source);
    });
    await db.close();
    await start(lab);
    expect(lab.snapshots().length).toBe(2);
    await lab.verify();
  });

  it('while a checkpoint waits for a writer: the sync after it takes the whole database', async () => {
    await using lab = new Lab(driver);
    let attempts = 0;
    const counting = watched(driver, (sql) => {
      if (sql === 'BEGIN IMMEDIATE') attempts += 1;
      return sql;
    });
    const app = lab.app([TABLE, INSERT]);
    const db = lab.db({ driver: counting, busyTimeoutMs: 60_000 });
    await db.open();
    await db.sync();
    app.exec(INSERT);
    await db.sync();
    const source = monday(lab);
    app.exec('BEGIN IMMEDIATE');
    attempts = 0;
    const checkpoint = db.checkpoint('PASSIVE').catch((error: unknown) => error);
    await until('the checkpoint waits', () => attempts > 0);
    writeOver(lab, source);
    app.exec('ROLLBACK');
    expect(await checkpoint).toMatchObject({ code: 'DATABASE_CHANGED' });
    await db.sync();
    await lab.verify();
  });

  it('and the disk is too full to record it: it is reported, and known after a restart', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    const source = monday(lab);
    app.get('PRAGMA wal_checkpoint(TRUNCATE)');
    app.exec(INSERT);
    await db.sync();
    writeOver(lab, source);
    {
      using _ = interceptFs('openSync', (path) =>
        String(path).includes('rest.json') ? failWith('ENOSPC') : undefined,
      );
      await expect(db.sync()).rejects.toMatchObject({ code: 'DATABASE_CHANGED' });
    }
    await lab.closeWhileLocked(db, app);
    await start(lab);
    await lab.verify();
  });

  it('a WAL that stays empty, whatever we write, is no success', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    lab.closeApp(app);
    await db.close();
    removeFolder(db.metaPath);
    let isDeaf = true;
    const deaf = watched(driver, (sql) => (isDeaf && sql.includes('INSERT INTO _litestream_seq') ? 'COMMIT' : sql));
    const again = lab.db({ driver: deaf });
    await again.open();
    await expect(again.sync()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    isDeaf = false;
    await again.sync();
    await lab.verify();
  });

  it('a record of what was found is durable by its name, too', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = await start(lab);
    lab.closeApp(app);
    const calls: string[] = [];
    using stack = new DisposableStack();
    stack.use(
      interceptFs('renameSync', (_from, to) => {
        if (String(to).endsWith('rest.json')) calls.push('renamed');
      }),
    );
    stack.use(
      interceptFs('openSync', (path) => {
        if (path === db.metaPath) calls.push('folder');
      }),
    );
    stack.use(interceptFs('fsyncSync', () => void calls.push('synced')));
    await db.close();
    expect(calls.join(' ')).toMatch(/renamed folder synced/);
  });
});
