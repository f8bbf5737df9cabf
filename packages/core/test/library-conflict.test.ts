import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { betterSqlite3 } from '../src/sqlite/driver/better-sqlite3.ts';
import type { BetterSqlite3 } from '../src/sqlite/driver/better-sqlite3.ts';
import { countMaps, mapKey } from '../src/sqlite/driver/library-conflict.ts';
import { Litestream } from '../src/litestream/litestream.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const Database = createRequire(import.meta.url)('better-sqlite3') as BetterSqlite3;

const root = temporaryFolder('library-conflict');
let count = 0;
let path = '';

beforeEach(() => {
  const folder = join(root, String(count++));
  mkdirSync(folder);
  path = join(folder, 'app.db');
});

function litestream(options: ConstructorParameters<typeof Litestream>[0] = {}): Litestream {
  const made = new Litestream({ store: false, ...options });
  onTestFinished(() => made.stop({ finalSync: false }));
  return made;
}

/** Is another process kept from writing? SQLite's error, or `written`. */
function writeElsewhere(): string {
  const program = `
    import { DatabaseSync } from 'node:sqlite';
    const database = new DatabaseSync(${JSON.stringify(path)}, { timeout: 0 });
    try { database.exec('INSERT INTO t VALUES (99)'); console.log('written'); } catch (error) { console.log(error.errstr); }
  `;
  const { stdout } = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', program]);
  return stdout.toString().trim();
}

describe.runIf(existsSync('/proc/self/maps'))('two copies of SQLite in one process', () => {
  test('an application on better-sqlite3 is refused, with the way out, and keeps its locks', async () => {
    const app = new Database(path);
    app.exec('PRAGMA journal_mode = WAL');
    app.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)');
    app.exec('BEGIN IMMEDIATE; INSERT INTO t VALUES (2)');
    expect(writeElsewhere()).toBe('database is locked');
    // It creates its tables first, so it has to wait for the application: for as long as it may.
    app.exec('COMMIT');
    await expect(litestream().replicate(path, new MemoryClient())).rejects.toMatchObject({
      code: 'DRIVER_CONFLICT',
      hint: expect.stringContaining('driver: betterSqlite3(Database)'),
    });
    app.exec('BEGIN IMMEDIATE; INSERT INTO t VALUES (3)');
    expect(writeElsewhere()).toBe('database is locked');
    await expect(litestream().replicate(path, new MemoryClient())).rejects.toMatchObject({ code: 'DRIVER_CONFLICT' });
    expect(writeElsewhere()).toBe('database is locked');
    app.exec('COMMIT');
    app.close();
  });

  test('with the same library on both sides it replicates', async () => {
    const app = new Database(path);
    app.exec('PRAGMA journal_mode = WAL');
    app.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)');
    const database = await litestream({ driver: betterSqlite3(Database) }).replicate(path, new MemoryClient());
    await database.replicated();
    app.exec('BEGIN IMMEDIATE; INSERT INTO t VALUES (3)');
    expect(writeElsewhere()).toBe('database is locked');
    app.exec('COMMIT');
    await database.replicated();
    app.close();
  });

  test('an application on node:sqlite with Litestream on better-sqlite3 is told to leave the driver out', async () => {
    const app = new DatabaseSync(path);
    app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
    const other = litestream({ driver: betterSqlite3(Database) });
    await expect(other.replicate(path, new MemoryClient())).rejects.toMatchObject({
      code: 'DRIVER_CONFLICT',
      hint: expect.stringContaining('leave `driver` out'),
    });
    app.close();
  });

  test('one that is opened later ends replication with the same error', async () => {
    const app = new DatabaseSync(path);
    app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
    const errors: unknown[] = [];
    const made = litestream();
    made.on('error', ({ error }) => errors.push(error));
    const database = await made.replicate(path, new MemoryClient(), { syncIntervalMs: 10 });
    await database.replicated();
    const late = new Database(path);
    late.exec('INSERT INTO t VALUES (1)');
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000);
    await expect(database.replicated()).rejects.toMatchObject({ code: 'DRIVER_CONFLICT' });
    vi.restoreAllMocks();
    late.close();
    app.close();
  });
});

test('maps are told apart by inode, region and name', () => {
  const line = (flags: string, offset: string, inode: number, file: string): string =>
    `7f0000000000-7f0000008000 ${flags} ${offset} 08:01 ${inode}                    ${file}`;
  const maps = [
    line('rw-s', '00000000', 5, '/data/app.db-shm'),
    line('rw-s', '00008000', 5, '/data/app.db-shm'),
    line('rw-s', '00000000', 6, '/data/app.db-shm'),
    line('rw-p', '00000000', 5, '/data/app.db-shm'),
    line('rw-s', '00000000', 5, '/data/app.db'),
    line('rw-s', '00000000', 5, '/other/app.db-shm'),
    '7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]',
    '',
  ].join('\n');
  expect(countMaps(maps).get(mapKey(5n, '/data/app.db-shm'))).toBe(2);
});
