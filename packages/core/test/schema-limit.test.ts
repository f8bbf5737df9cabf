/** A schema that SQLite would need seconds or hours to read: SQLite never reads it, and the database gets an error. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { SqliteDriver } from '../src/index.ts';
import { Lab, drivers } from './helpers/db-lab.ts';
import type { Entry } from './helpers/large-schema.ts';
import { fillSchema, many, statisticsTable } from './helpers/large-schema.ts';

const table = (name: string, sql: string): Entry => ({ type: 'table', name, sql });
const views = (count: number, size: number): Entry[] =>
  many(count, (index) => ({
    type: 'view',
    name: `v${index}`,
    sql: `CREATE VIEW v${index} AS SELECT 1 /*${' '.repeat(size)}*/`,
  }));
const columns = Array.from({ length: 600 }, (_, index) => `c${index}`);
const keys = (count: number): string[] => many(count, (index) => `UNIQUE(c${index},c${index + 1})`);

const tooLarge: readonly [string, Entry[], string][] = [
  ['many objects', views(20_001, 0), 'more than 20000 objects'],
  ['much text', views(50, 100_000), 'more than 4 MB'],
  ['a view of megabytes', views(1, 5_000_000), 'more than 4 MB'],
  [
    'a table with many keys',
    [table('k', `CREATE TABLE k(${[...columns, ...keys(501)].join(',')})`)],
    'a table with more than 500 keys',
  ],
  [
    'many keys in all',
    many(50, (index) => table(`k${index}`, `CREATE TABLE k${index}(${[...columns, ...keys(450)].join(',')})`)),
    'more than 20000 keys',
  ],
  [
    'long lists of columns',
    many(60, (index) => {
      const lists = many(30, () => `FOREIGN KEY(${many(300, () => 'c1').join(',')}) REFERENCES x`);
      const wide = many(2000, (column) => `c${column}`);
      return table(`f${index}`, `CREATE TABLE f${index}(${[...wide, ...lists].join(',')})`);
    }),
    'tables with too many columns and keys',
  ],
];

const withinLimits: readonly [string, Entry[]][] = [
  ['3,000 views', views(3000, 0)],
  [
    '500 tables of 500 columns',
    many(500, (index) => table(`w${index}`, `CREATE TABLE w${index}(${columns.slice(0, 500).join(',')})`)),
  ],
  ['3 MB of text', views(30, 100_000)],
  ['a table with many keys', [table('k', `CREATE TABLE k(${[...columns, ...keys(400)].join(',')})`)]],
];

describe.each(drivers)('with $name', (driver: SqliteDriver) => {
  it.each(tooLarge)('refuses a database with %s', async (_, entries, excess) => {
    await using lab = new Lab(driver);
    fillSchema(lab.path, entries);
    await expect(lab.db().open()).rejects.toMatchObject({
      code: 'SCHEMA_TOO_LARGE',
      message: expect.stringContaining(`the schema has ${excess}`) as string,
    });
  });

  it.each(['utf16le', 'utf16be'])('counts the keys in a database in %s', async (encoding) => {
    await using lab = new Lab(driver);
    const [, entries = []] = tooLarge.find(([name]) => name === 'a table with many keys') ?? [];
    fillSchema(lab.path, entries, { encoding });
    await expect(lab.db().open()).rejects.toMatchObject({ code: 'SCHEMA_TOO_LARGE' });
  });

  it.each(withinLimits)('replicates a database with %s', async (_, entries) => {
    await using lab = new Lab(driver);
    fillSchema(lab.path, entries);
    const db = lab.db();
    await db.open();
    await db.sync();
    expect(db.position.txid).toBe(1n);
  });

  it.each([512, 4096, 65_536])(
    'with pages of %i bytes, sees what is in the database file and what is in the WAL',
    async (pageSize) => {
      for (const isCheckpointed of [true, false]) {
        await using lab = new Lab(driver);
        // A connection that stays open keeps the pages in the WAL.
        using app = fillSchema(lab.path, views(20_001, 0), { pageSize, isCheckpointed });
        await expect(lab.db().open(), `checkpointed: ${isCheckpointed}`).rejects.toMatchObject({
          code: 'SCHEMA_TOO_LARGE',
        });
        expect(app.isOpen).toBe(!isCheckpointed);
      }
    },
  );

  it('refuses a schema that grows while the database is replicated, and continues once it is small again', async () => {
    await using lab = new Lab(driver);
    const app = lab.app(['CREATE TABLE t (a)']);
    const db = lab.db();
    await db.open();
    await db.sync();
    app.exec('BEGIN');
    for (let index = 0; index < 45; index += 1)
      app.exec(`CREATE VIEW v${index} AS SELECT 1 /*${' '.repeat(100_000)}*/`);
    app.exec('COMMIT');
    await expect(db.checkpoint('TRUNCATE')).rejects.toMatchObject({ code: 'SCHEMA_TOO_LARGE' });
    app.exec('BEGIN');
    for (let index = 0; index < 45; index += 1) app.exec(`DROP VIEW v${index}`);
    app.exec('COMMIT; INSERT INTO t VALUES (1)');
    await db.checkpoint('TRUNCATE');
    await db.sync();
    await lab.verify();
  });

  it('replicates a database in rollback mode with a stale -shm beside it', async () => {
    await using lab = new Lab(driver);
    using app = fillSchema(lab.path, views(100, 0), { isCheckpointed: false });
    expect(app.isOpen).toBe(true);
    const index = readFileSync(`${lab.path}-shm`);
    await using later = new Lab(driver);
    const database = new DatabaseSync(later.path);
    database.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    database.close();
    writeFileSync(`${later.path}-shm`, index);
    const db = later.db();
    await db.open();
    await db.sync();
    expect(db.position.txid).toBe(1n);
  });

  it('replicates a database that was analysed', async () => {
    await using lab = new Lab(driver);
    lab.closeApp(lab.app(['CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1), (2); ANALYZE']));
    const db = lab.db();
    await db.open();
    await db.sync();
    expect(db.position.txid).toBe(1n);
  });

  it.each(['sqlite_stat1', 'sqlite_stat4'])('evaluates no expression of a table %s', async (name) => {
    await using lab = new Lab(driver);
    statisticsTable(lab.path, name);
    // In a separate process, which can be killed if SQLite evaluates the expression.
    const script = `
      const { drivers } = await import(${JSON.stringify(new URL('./helpers/db-lab.ts', import.meta.url).href)});
      const { DB } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)});
      const driver = drivers.find(({ name }) => name === ${JSON.stringify(driver.name)});
      await new DB(${JSON.stringify(lab.path)}, { driver }).open().catch((error) => console.log(error.code));`;
    const args = ['--no-warnings', '--input-type=module', '-e', script];
    const options = { timeout: 150_000, killSignal: 'SIGKILL' } as const;
    const { stdout } = await promisify(execFile)(process.execPath, args, options);
    expect(stdout.trim()).toBe('SCHEMA_TOO_LARGE');
  });
});

it('a database with a large schema is as usable as before', async () => {
  await using lab = new Lab();
  fillSchema(lab.path, views(20_001, 0));
  await expect(lab.db().open()).rejects.toMatchObject({ code: 'SCHEMA_TOO_LARGE' });
  const app = new DatabaseSync(lab.path);
  app.exec('INSERT INTO x VALUES (1)');
  app.close();
});
