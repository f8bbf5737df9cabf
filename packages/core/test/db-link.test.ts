/** The path of a database is a symbolic link: SQLite opens the file that it leads to, and keeps the WAL beside that. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../../../tests/support/wait.ts';
import { Litestream } from '../src/index.ts';
import type { ReplicatedDatabase, SqliteConnection, SqliteDriver } from '../src/index.ts';
import { drivers } from './helpers/db-lab.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const base = temporaryFolder('link');

interface Place {
  readonly folder: string;
  /** In a folder of its own, under another name than the database. */
  readonly link: string;
  readonly replica: string;
}

function place(): Place {
  const folder = mkdtempSync(join(base, 'case-'));
  mkdirSync(join(folder, 'links'));
  mkdirSync(join(folder, 'data'));
  return { folder, link: join(folder, 'links', 'current.db'), replica: join(folder, 'replica') };
}

describe.each(drivers)('with $name', (driver: SqliteDriver) => {
  /** A program that has the database open until the test ends. */
  function app(path: string, rows: readonly string[] = []): SqliteConnection {
    if (!existsSync(path)) writeFileSync(path, '');
    const connection = driver.open(path);
    onTestFinished(() => connection.close());
    connection.get('PRAGMA journal_mode = wal');
    connection.exec('PRAGMA wal_autocheckpoint = 0; CREATE TABLE IF NOT EXISTS t (v TEXT)');
    for (const row of rows) insert(connection, row);
    return connection;
  }

  function insert(connection: SqliteConnection, row: string): void {
    connection.exec(`INSERT INTO t VALUES ('${row}')`);
  }

  async function replicate(
    at: Place,
    path = at.link,
  ): Promise<{ litestream: Litestream; database: ReplicatedDatabase }> {
    const litestream = new Litestream({ driver, store: false });
    onTestFinished(() => litestream.stop({ timeoutMs: 0 }).catch(() => undefined));
    return { litestream, database: await litestream.replicate(path, at.replica, { monitorIntervalMs: 20 }) };
  }

  async function restoredRows({ folder, replica }: Place): Promise<string[]> {
    const output = join(mkdtempSync(join(folder, 'restored-')), 'copy.db');
    await using litestream = new Litestream({ driver, store: false });
    await litestream.restore(replica, { output });
    const connection = driver.open(output);
    try {
      expect(connection.get('PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' });
      return connection.all('SELECT v FROM t ORDER BY rowid').map((row) => String(row['v']));
    } finally {
      connection.close();
    }
  }

  test.each([
    ['a link to another name', (at: Place) => symlinkSync(join(at.folder, 'data', 'real.db'), at.link)],
    [
      'a chain of links, some of them relative',
      (at: Place) => {
        symlinkSync('../second.db', at.link);
        symlinkSync(join(at.folder, 'third.db'), join(at.folder, 'second.db'));
        symlinkSync('data/real.db', join(at.folder, 'third.db'));
      },
    ],
    [
      'a link in a folder that is a link',
      (at: Place) => {
        symlinkSync('data', join(at.folder, 'folder'));
        symlinkSync('../folder/real.db', at.link);
      },
    ],
  ])('%s: every commit is replicated, and the metadata is beside the link', async (_, makeLink) => {
    const at = place();
    const real = join(at.folder, 'data', 'real.db');
    const program = app(real, ['one']);
    makeLink(at);
    const { litestream, database } = await replicate(at);
    await database.replicated();
    insert(program, 'two');
    await database.replicated();
    expect(await restoredRows(at)).toEqual(['one', 'two']);
    // Without being asked: the WAL that is watched is the one that SQLite writes.
    const before = database.position.txid;
    insert(app(at.link), 'three');
    await until('the third commit', () => database.position.txid > before);
    await litestream.stop();
    expect(await restoredRows(at)).toEqual(['one', 'two', 'three']);
    expect(existsSync(join(dirname(at.link), '.current.db-litestream'))).toBe(true);
    expect(existsSync(join(at.folder, 'data', '.real.db-litestream'))).toBe(false);
  });

  test('a link to a database that does not exist yet', async () => {
    const at = place();
    symlinkSync('../data/real.db', at.link);
    const { database } = await replicate(at);
    app(join(at.folder, 'data', 'real.db'), ['one']);
    await until('the database', () => database.position.txid > 0n);
    await database.replicated();
    expect(await restoredRows(at)).toEqual(['one']);
  });

  /** A link that leads to another file from one moment to the next. */
  function point(at: Place, target: string): void {
    symlinkSync(target, `${at.link}.new`);
    renameSync(`${at.link}.new`, at.link);
  }

  test('a link that leads elsewhere while it is replicated: an error, then the other file as a whole, and no mixture', async () => {
    const at = place();
    const [a, b] = [join(at.folder, 'data', 'a.db'), join(at.folder, 'data', 'b.db')];
    const [first, second] = [app(a, ['a1', 'a2']), app(b, ['b1'])];
    point(at, a);
    const { database } = await replicate(at);
    await database.replicated();

    point(at, b);
    insert(first, 'a3');
    // The program may have committed to the one as well as to the other.
    await expect(database.replicated()).rejects.toMatchObject({ code: 'DATABASE_CHANGED', object: at.link });
    // Times of files are coarse: within some 50 ms of a commit to the earlier file, another one cannot be ruled out.
    await until('an acknowledgement', () =>
      database.replicated().then(
        () => true,
        () => false,
      ),
    );
    expect(await restoredRows(at)).toEqual(['b1']);

    insert(second, 'b2');
    await database.replicated();
    expect(await restoredRows(at)).toEqual(['b1', 'b2']);

    insert(first, 'a4');
    await expect(database.replicated()).rejects.toMatchObject({ code: 'DATABASE_CHANGED' });
    expect(await restoredRows(at)).toEqual(['b1', 'b2']);
    insert(second, 'b3');
    await until('an acknowledgement', () =>
      database.replicated().then(
        () => true,
        () => false,
      ),
    );
    expect(await restoredRows(at)).toEqual(['b1', 'b2', 'b3']);

    point(at, a);
    await expect(database.replicated()).rejects.toMatchObject({ code: 'DATABASE_CHANGED' });
    await until('an acknowledgement', () =>
      database.replicated().then(
        () => true,
        () => false,
      ),
    );
    expect(await restoredRows(at)).toEqual(['a1', 'a2', 'a3', 'a4']);
  });

  test('a folder that is a link and leads elsewhere: the same', async () => {
    const at = place();
    for (const name of ['x', 'y']) mkdirSync(join(at.folder, name));
    const programs = ['x', 'y'].map((name) => app(join(at.folder, name, 'app.db'), [name]));
    const folder = { ...at, link: join(at.folder, 'now') };
    point(folder, 'x');
    const { database } = await replicate(at, join(folder.link, 'app.db'));
    await database.replicated();
    point(folder, 'y');
    await expect(database.replicated()).rejects.toMatchObject({ code: 'DATABASE_CHANGED' });
    for (const program of programs) insert(program, 'more');
    await until('an acknowledgement', () =>
      database.replicated().then(
        () => true,
        () => false,
      ),
    );
    expect(await restoredRows(at)).toEqual(['y', 'more']);
  });

  test('a link that leads elsewhere after a stop', async () => {
    const at = place();
    const [a, b] = [join(at.folder, 'data', 'a.db'), join(at.folder, 'data', 'b.db')];
    app(a, ['a1', 'a2']);
    app(b, ['b1']);
    point(at, a);
    const one = await replicate(at);
    await one.database.replicated();
    await one.litestream.stop();
    point(at, b);
    const two = await replicate(at);
    await two.database.replicated();
    expect(await restoredRows(at)).toEqual(['b1']);
  });

  test('one file is replicated under one name only', async () => {
    const at = place();
    const real = join(at.folder, 'data', 'real.db');
    app(real, ['one']);
    symlinkSync(real, at.link);
    const { litestream } = await replicate(at);
    await expect(litestream.replicate(real, `${at.replica}-2`)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: `already replicated as ${at.link}, which is the same file: ${real}`,
    });
  });
});
