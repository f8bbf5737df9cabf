/** The owner of a folder replaces a file while SQLite opens it: another database is never read or written. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, vi } from 'vitest';
import type { OpenedFile } from '../src/sqlite/database-file/open-same.ts';
import { openSame } from '../src/sqlite/database-file/open-same.ts';
import { Connections } from '../src/db/session/connections.ts';
import { DB, isLitestreamError } from '../src/index.ts';
import type { SqliteDriver } from '../src/index.ts';
import { WalFile } from '../src/sqlite/wal/wal-file.ts';
import { drivers } from './helpers/db-lab.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const folder = temporaryFolder('open-same');
const OPENINGS = 300;

function create(path: string, content: string): OpenedFile {
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES ('${content}')`);
  db.close();
  const { dev, ino } = statSync(path, { bigint: true });
  return { device: dev, inode: ino };
}

describe.skipIf(process.platform === 'win32').each(drivers)('with $name', (driver: SqliteDriver) => {
  const at = join(folder, driver.name.replace(':', '-'));
  const ours = join(at, 'ours');
  const path = join(ours, 'app.db');
  const theirs = join(at, 'theirs');

  function prepare(): OpenedFile {
    removeFolder(at, { force: true });
    for (const each of [ours, theirs]) mkdirSync(each, { recursive: true });
    create(join(theirs, 'app.db'), 'theirs');
    return create(path, 'ours');
  }

  const swaps: Readonly<Record<string, [there: () => void, back: () => void]>> = {
    'a link in the place of the file': [
      () => {
        renameSync(path, `${path}.kept`);
        symlinkSync(join(theirs, 'app.db'), path);
      },
      () => {
        rmSync(path);
        renameSync(`${path}.kept`, path);
      },
    ],
    'a link in the place of the folder': [
      () => {
        renameSync(ours, `${ours}.kept`);
        symlinkSync(theirs, ours);
      },
      () => {
        rmSync(ours);
        renameSync(`${ours}.kept`, ours);
      },
    ],
    'another name of the file of another user': [
      () => {
        renameSync(path, `${path}.kept`);
        linkSync(join(theirs, 'app.db'), path);
      },
      () => {
        rmSync(path);
        renameSync(`${path}.kept`, path);
      },
    ],
  };

  it.each(Object.entries(swaps))('refuses %s, even if it is gone after the call', (_, [there, back]) => {
    const file = prepare();
    let opened = 0;
    const open = (): ReturnType<SqliteDriver['open']> => {
      there();
      try {
        opened += 1;
        return driver.open(path);
      } finally {
        back();
      }
    };
    expect(() => openSame(file, path, open)).toThrow(/led to another file/);
    expect(opened).toBeGreaterThan(1);
    const connection = openSame(file, path, () => driver.open(path));
    expect(connection.get('SELECT a FROM t')).toEqual({ a: 'ours' });
    connection.close();
  });

  it('refuses the WAL of another database, even if the link to it is gone after the call', async () => {
    prepare();
    const others = new DatabaseSync(join(theirs, 'app.db'));
    others.exec(`INSERT INTO t VALUES ('not in the database file')`);
    const [there, back] = swaps['a link in the place of the folder'] ?? [];
    // oxlint-disable-next-line typescript/unbound-method -- called with the `this` of each call
    const { refresh } = WalFile.prototype;
    vi.spyOn(WalFile.prototype, 'refresh').mockImplementation(function swapped(this: WalFile) {
      there?.();
      try {
        return refresh.call(this);
      } finally {
        back?.();
      }
    });
    const db = new DB(path, { driver });
    try {
      await expect(db.open()).rejects.toMatchObject({ code: 'DATABASE_CHANGED' });
    } finally {
      vi.restoreAllMocks();
      others.close();
    }
    await db.open();
    await db.close();
  });

  it('opens a database again of which SQLite already has a descriptor', () => {
    const file = prepare();
    const open = (): ReturnType<SqliteDriver['open']> => openSame(file, path, () => driver.open(path));
    const first = open();
    first.exec('BEGIN; SELECT * FROM t');
    first.get('SELECT a FROM t');
    open().close();
    const third = open();
    expect(third.get('SELECT a FROM t')).toEqual({ a: 'ours' });
    for (const each of [third, first]) each.close();
  });

  it('writes to no other database while another process swaps the file in a loop', async () => {
    const file = prepare();
    const script = `
      const { linkSync, renameSync, symlinkSync } = require('node:fs');
      const [path, kept, theirs] = process.argv.slice(1);
      linkSync(path, kept);
      console.log('ready');
      for (;;) {
        symlinkSync(theirs, path + '.next');
        renameSync(path + '.next', path);
        linkSync(kept, path + '.next');
        renameSync(path + '.next', path);
      }`;
    const args = ['-e', script, path, `${path}.kept`, join(theirs, 'app.db')];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      const outcomes = new Map<string, number>();
      const tell = (outcome: string): unknown => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      for (let count = 0; count < OPENINGS; count += 1) {
        try {
          const connections = await Connections.open({ path, file }, driver, { busyTimeoutMs: 1000 });
          connections.close({ keepsWal: true });
          tell('opened');
        } catch (error) {
          tell(isLitestreamError(error) ? error.code : String(error));
        }
      }
      console.log(driver.name, Object.fromEntries(outcomes));
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    const names = new DatabaseSync(join(theirs, 'app.db')).prepare('SELECT name FROM sqlite_schema').all();
    expect(names).toEqual([{ name: 't' }]);
  });
});
