/** Databases are not trusted: nothing in their schema runs on our connections, and no check of them runs for ever. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { checkIntegrity } from '../src/restore/check/integrity.ts';
import { drivers, Lab } from './helpers/db-lab.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('foreign-schema');
/** Runs for ever. */
const FOREVER = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n`;
/** An expression without a subquery, as indexes and checks need it, that takes hours. */
const SLOW = `(instr(hex(zeroblob(20000000)), hex(zeroblob(10000000)) || '1') = 0)`;
const SEQ = 'CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)';
const LOCK = 'CREATE TABLE _litestream_lock (id INTEGER)';

const hostile: Readonly<Record<string, string>> = {
  'a trigger on inserts': `${SEQ}; ${LOCK}; CREATE TRIGGER evil BEFORE INSERT ON _litestream_seq BEGIN ${FOREVER}; END`,
  'a trigger on updates': `${SEQ}; ${LOCK}; INSERT INTO _litestream_seq VALUES (1, 1);
    CREATE TRIGGER evil AFTER UPDATE ON _LITESTREAM_SEQ BEGIN ${FOREVER}; END`,
  'a view': `CREATE VIEW _litestream_seq AS ${FOREVER}; CREATE VIEW _litestream_lock AS ${FOREVER}`,
  'a view with a trigger': `CREATE VIEW _litestream_seq AS SELECT 1 AS id, 1 AS seq; ${LOCK};
    CREATE TRIGGER evil INSTEAD OF INSERT ON _litestream_seq BEGIN ${FOREVER}; END`,
  'a table with a check': `CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER,
    CHECK ${SLOW}); ${LOCK}`,
  'a table with a generated column': `CREATE TABLE _Litestream_Seq (id INTEGER PRIMARY KEY, seq INTEGER,
    g AS ${SLOW} STORED); ${LOCK}`,
  'an index on an expression': `${SEQ}; ${LOCK}; CREATE INDEX evil ON _litestream_seq (seq + ${SLOW})`,
  'an index with a condition': `${SEQ}; ${LOCK}; CREATE INDEX evil ON _litestream_lock (id) WHERE ${SLOW}`,
  'a virtual table': `CREATE VIRTUAL TABLE _litestream_seq USING fts5(id, seq); ${LOCK}`,
  'a table with a default and a reference': `CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY,
    seq INTEGER DEFAULT ${SLOW} REFERENCES _litestream_lock (id) ON UPDATE CASCADE); ${LOCK}`,
  'tables with other columns': `CREATE TABLE _litestream_seq (x); CREATE TABLE _litestream_lock (y)`,
  'an index of that name': `CREATE TABLE x (a); CREATE INDEX _litestream_seq ON x (a)`,
};

it.each(drivers)(
  'with $name, nothing of the schema runs: the database is followed like any other',
  async ({ name: driver }) => {
    // In a process of its own, which can be killed if the schema freezes it.
    const script = `
      const { Lab, drivers } = await import(${JSON.stringify(new URL('./helpers/db-lab.ts', import.meta.url).href)});
      for (const [name, sql] of Object.entries(${JSON.stringify(hostile)})) {
        await using lab = new Lab(drivers.find(({ name }) => name === ${JSON.stringify(driver)}));
        const app = lab.app([sql]);
        app.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
        app.get('PRAGMA wal_checkpoint(TRUNCATE)');
        console.log(name);
        const db = lab.db();
        await db.open();
        await db.sync();
        for (let round = 0; round < 3; round += 1) {
          app.exec('INSERT INTO t VALUES (2)');
          await db.sync();
          await db.checkpoint('TRUNCATE');
        }
        await db.sync();
        await lab.verify();
        if (db.position.txid <= 2n) throw new Error('not followed');
        await db.close();
      }
      console.log('all');`;
    const args = ['--no-warnings', '--input-type=module', '-e', script];
    const options = { timeout: 150_000, killSignal: 'SIGKILL' } as const;
    // What is printed last is what froze it.
    const { stdout } = await promisify(execFile)(process.execPath, args, options).catch((error: unknown) => {
      throw new Error(`after ${String((error as { stdout?: string }).stdout)}`, { cause: error });
    });
    expect(stdout.trim().split('\n')).toEqual([...Object.keys(hostile), 'all']);
  },
);

it.each(drivers)('a connection of $name trusts no schema and follows no foreign keys', (driver) => {
  const path = join(folder, `${driver.name.replace(':', '-')}.db`);
  new DatabaseSync(path).close();
  for (const readOnly of [true, false]) {
    const connection = driver.open(path, { readOnly });
    expect(connection.get('PRAGMA trusted_schema')).toEqual({ trusted_schema: 0 });
    expect(connection.get('PRAGMA foreign_keys')).toEqual({ foreign_keys: 0 });
    // Defensive: the schema cannot be written to, whatever is asked.
    connection.exec('PRAGMA writable_schema = ON');
    expect(() => connection.exec('DELETE FROM sqlite_schema')).toThrow(/may not be modified|readonly/);
    connection.close();
  }
});

describe('an integrity check that never ends', () => {
  /** An index whose expression makes a text of 40 MB for each of many rows: a quarter of an hour of work. */
  function endless(length = 20_000_000): string {
    const path = join(folder, `endless-${Math.random()}.db`);
    const db = new DatabaseSync(path, { defensive: false });
    db.exec(`CREATE TABLE t (a); CREATE INDEX i ON t (a + 0); PRAGMA writable_schema = ON;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000) INSERT INTO t SELECT i FROM n;
      UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (a + 0 * length(hex(zeroblob(${length} + a))))' WHERE name = 'i'`);
    db.close();
    return path;
  }

  it('is ended by its limit, and by the signal', async () => {
    await expect(checkIntegrity(endless(), 'full', undefined, { ms: 500 })).rejects.toMatchObject({
      code: 'DATABASE_INVALID',
    });
    const abort = new AbortController();
    const checking = checkIntegrity(endless(), 'full', abort.signal);
    abort.abort(new Error('enough'));
    await expect(checking).rejects.toThrow('enough');
  });

  it('is ended when it uses more memory than it may', async () => {
    // Each value takes 120 MB, and SQLite has no limit for the memory of a library that counts none.
    await expect(
      checkIntegrity(endless(60_000_000), 'full', undefined, { memory: 150 * 2 ** 20 }),
    ).rejects.toMatchObject({
      code: 'DATABASE_INVALID',
      message: expect.stringContaining('it used more than 150 MiB of memory'),
    });
  });
});

it('sees a sound database through, with an empty environment', async () => {
  await using lab = new Lab();
  lab.app(['CREATE TABLE t (a)', 'PRAGMA wal_checkpoint(TRUNCATE)']);
  await checkIntegrity(lab.path, 'full');
  expect(process.env['PATH']).toBeDefined();
});
