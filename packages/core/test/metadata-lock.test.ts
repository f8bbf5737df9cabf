/** One Litestream per database: the second one stands by, and takes over from where the first one ended. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { pause, until } from '../../../tests/support/wait.ts';
import type { SqliteConnection, SqliteDriver } from '../src/index.ts';
import { DB, FileClient, Litestream, isKnownFile, withMetadataLock, restore } from '../src/index.ts';
import { Lab, SHORT_QUIET_MS, compare, drivers, randomFrom, seedOf, verifyChain } from './helpers/db-lab.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const seed = seedOf('metadata lock');
const ROUNDS = Number(process.env['LITESTREAM_TEST_ROUNDS'] ?? 3);
const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)';
const INSERT = 'INSERT INTO t (payload) VALUES (randomblob(500))';
/** For an application beside a Litestream in another process. That process may be slow while it holds a lock. */
const PATIENT = 'PRAGMA busy_timeout = 60000';

/** Needs root, to be mounted; the test that needs it is skipped without. */
const volume = mkdtempSync(join(tmpdir(), 'litestream-read-only-'));
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', volume]).status === 0;
afterAll(() => {
  if (mounted) spawnSync('umount', ['-l', volume]);
  rmdirSync(volume);
});

interface Line {
  readonly state?: string;
  readonly warn?: string;
  readonly error?: string;
  readonly pid?: number;
  readonly host?: string;
  readonly since?: string;
  readonly replicated?: boolean;
  readonly code?: string;
  readonly text?: string;
  readonly txid?: number;
  readonly uploaded?: number;
}

/** Litestream in a process of its own. */
class Daemon implements AsyncDisposable {
  readonly lines: Line[] = [];
  readonly #child;
  readonly ended: Promise<unknown>;

  constructor(path: string, options: object) {
    const script = fileURLToPath(new URL('helpers/litestream-daemon.mjs', import.meta.url));
    this.#child = spawn(process.execPath, ['--no-warnings', script, path, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // With everything that it wrote.
    this.ended = once(this.#child, 'close');
    createInterface(this.#child.stdout).on('line', (line) => this.lines.push(JSON.parse(line) as Line));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The first line for which this is true, of those that are written from now on or, with `from` 0, ever. */
  async line(what: string, test: (line: Line) => boolean, from = 0): Promise<Line> {
    return await until(`${what} (${this.pid})`, () => this.lines.slice(from).find(test));
  }

  async state(state: string): Promise<void> {
    await until(`state ${state}`, () => this.lines.findLast((line) => line.state !== undefined)?.state === state);
  }

  /** What `replicated()` says. */
  async replicated(): Promise<Line> {
    const from = this.lines.length;
    this.#child.stdin.write('?');
    return await this.line('an answer', (line) => line.replicated !== undefined, from);
  }

  /** Exit status, or the signal. */
  async end(signal: NodeJS.Signals): Promise<unknown> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal);
    await this.ended;
    return this.#child.exitCode ?? this.#child.signalCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
  }
}

/** The local files, by name and inode: one that was made again is another. */
function localFiles(db: DB): string[] {
  const { folder } = db.localLtx(0);
  return readdirSync(folder)
    .filter((name) => name.endsWith('.ltx'))
    .map((name) => `${name} ${statSync(join(folder, name)).ino}`);
}

async function restored(lab: Lab, replica: string): Promise<Buffer> {
  const output = join(lab.folder, 'restored.db');
  rmSync(output, { force: true });
  await restore(new FileClient({ path: replica }), { output });
  return readFileSync(output);
}

describe.each(drivers)('with $name', { timeout: 180_000 + ROUNDS * 30_000 }, (driver: SqliteDriver) => {
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    it(`a second process stands by, deletes nothing, and takes over after ${signal} of the first`, async () => {
      await using lab = new Lab(driver);
      const app = lab.app([PATIENT, TABLE]);
      const replica = join(lab.folder, 'replica');
      const options = { replica, driver: driver.name };
      await using first = new Daemon(lab.path, options);
      await first.state('open');
      for (let i = 0; i < 5; i++) {
        app.exec(INSERT);
        expect(await first.replicated()).toMatchObject({ replicated: true });
      }
      const before = localFiles(lab.db());
      expect(before.length).toBeGreaterThan(5);

      await using second = new Daemon(lab.path, options);
      const warning = await second.line('a warning', (line) => line.warn !== undefined);
      expect(warning).toMatchObject({ pid: first.pid, host: hostname() });
      expect(Date.parse(warning.since ?? '')).toBeLessThanOrEqual(Date.now());
      await second.state('standby');
      app.exec(INSERT);
      expect(await second.replicated()).toMatchObject({ replicated: false, code: 'DATABASE_IN_USE' });
      expect(await first.replicated()).toMatchObject({ replicated: true });
      expect(localFiles(lab.db())).toEqual(expect.arrayContaining(before));
      const after = localFiles(lab.db());

      expect(await first.end(signal)).toBe(signal === 'SIGKILL' ? signal : 0);
      app.exec(INSERT);
      await second.state('open');
      expect(await second.replicated()).toMatchObject({ replicated: true });
      expect(localFiles(lab.db())).toEqual(expect.arrayContaining(after));
      compare(await restored(lab, replica), lab.source());
      // Said once, and standing by is no error.
      expect(second.lines.filter((line) => line.warn !== undefined)).toHaveLength(1);
      expect(second.lines.filter((line) => line.error !== undefined)).toEqual([]);
      expect(await second.end('SIGTERM')).toBe(0);
    });
  }

  it('one that stands by ends at once, and without an error', async () => {
    await using lab = new Lab(driver);
    lab.app([TABLE, INSERT]);
    const options = { replica: join(lab.folder, 'replica'), driver: driver.name };
    await using first = new Daemon(lab.path, options);
    await first.state('open');
    await using second = new Daemon(lab.path, options);
    await second.state('standby');
    expect(await second.end('SIGTERM')).toBe(0);
    expect(second.lines.filter((line) => line.error !== undefined)).toEqual([]);
    expect(await first.replicated()).toMatchObject({ replicated: true });
  });

  it('takes over from a process that is killed at any moment, and nothing is lost', async () => {
    await using lab = new Lab(driver);
    const random = randomFrom(seed);
    const replica = join(lab.folder, 'replica');
    const options = { replica, driver: driver.name, syncIntervalMs: 200 };
    const writer = await lab.child('db-writer.mjs', { rowsPerCommit: 5, pauseMs: 60 });
    await using daemons = new AsyncDisposableStack();
    let active = daemons.use(new Daemon(lab.path, options));
    await active.state('open');
    for (let round = 0; round < ROUNDS; round++) {
      const next = daemons.use(new Daemon(lab.path, options));
      await next.state('standby');
      await pause(random() * 200, 'killed at any moment');
      await active.end('SIGKILL');
      await next.state('open');
      expect(await next.replicated(), `round ${round}`).toMatchObject({ replicated: true });
      expect(next.lines.filter((line) => line.error !== undefined)).toEqual([]);
      active = next;
      verifyChain(lab, await restored(lab, replica));
    }
    const ended = once(writer, 'exit');
    writer.stdin?.write('stop\n');
    await ended;
    expect(await active.replicated()).toMatchObject({ replicated: true });
    compare(await restored(lab, replica), lab.source());
    await active.end('SIGTERM');
  });

  it('two in one process: the second one stands by, by whatever path to the same folder', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE]);
    const link = `${lab.folder}-link`;
    symlinkSync(lab.folder, link);
    try {
      const replica = join(lab.folder, 'replica');
      await using first = new Litestream({ driver });
      await using second = new Litestream({ driver });
      const one = await first.replicate(lab.path, replica, { arrivalQuietMs: SHORT_QUIET_MS });
      app.exec(INSERT);
      await one.replicated();
      const two = await second.replicate(join(link, 'app.db'), replica, { arrivalQuietMs: SHORT_QUIET_MS });
      expect(two.status().db).toMatchObject({ state: 'standby', holder: { pid: process.pid, host: hostname() } });
      await expect(two.replicated()).rejects.toMatchObject({ code: 'DATABASE_IN_USE', retryable: true });
      await expect(two.snapshot()).rejects.toMatchObject({ code: 'DATABASE_IN_USE' });
      // Neither has another library's locks been dropped, nor our own.
      {
        await using other = new Daemon(lab.path, { replica, driver: driver.name });
        await other.state('standby');
      }
      app.exec(INSERT);
      await one.replicated();
      await one.stop();
      await until('the second one', () => two.status().db.state === 'open');
      app.exec(INSERT);
      await two.replicated();
      compare(await restored(lab, replica), lab.source());
    } finally {
      rmSync(link);
    }
  });

  it('two databases with one metadata folder: only one of them is replicated', async () => {
    await using lab = new Lab(driver);
    lab.app([TABLE, INSERT]);
    const metaPath = join(lab.folder, 'meta');
    const one = lab.db({ metaPath });
    await one.open();
    const other = join(lab.folder, 'other.db');
    writeFileSync(other, '');
    const connection = driver.open(other);
    connection.exec(TABLE);
    const two = new DB(other, { driver, metaPath, arrivalQuietMs: SHORT_QUIET_MS });
    await two.open();
    expect(two.status().state).toBe('standby');
    await two.close();
    connection.close();
    await one.sync();
  });

  it('stands by without touching the database, the log or the folder', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const one = lab.db();
    await one.open();
    await one.sync();
    app.get('PRAGMA wal_checkpoint(TRUNCATE)');
    const timeOf = (path: string): unknown => statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    const look = (): unknown => {
      const files = one.localLtx(0).list();
      return [lab.path, `${lab.path}-wal`, ...files.map(({ path }) => path)].map((path) => [path, timeOf(path)]);
    };
    writeFileSync(join(one.metaPath, 'ltx', '0', 'unfinished.tmp'), 'x');
    const before = look();
    expect(before).toHaveLength(3);
    const two = lab.db();
    await two.open();
    await expect(two.sync()).rejects.toMatchObject({ code: 'DATABASE_IN_USE' });
    await expect(two.checkpoint('PASSIVE')).rejects.toMatchObject({ code: 'DATABASE_IN_USE' });
    expect(look()).toEqual(before);
    expect(readdirSync(join(one.metaPath, 'ltx', '0'))).toContain('unfinished.tmp');
    expect(two.status()).toMatchObject({ state: 'standby', totals: { sync: { count: 0, errors: 0 } } });
    await two.close();
    app.exec(INSERT);
    await one.sync();
    await lab.verify();
  });

  it('a lock that went with its folder is taken again, or left to who made the folder again', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE]);
    const one = lab.db();
    await one.open();
    app.exec(INSERT);
    await one.sync();
    removeFolder(one.metaPath);
    const two = lab.db();
    await two.open();
    app.exec(INSERT);
    const results = await Promise.allSettled([one.sync(), two.sync()]);
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true);
    await two.sync();
    await one.sync().catch(() => undefined);
    expect(two.status().state).toBe('open');
  });

  it('a command that clears the folder is refused while it is in use, and keeps others out meanwhile', async () => {
    await using lab = new Lab(driver);
    lab.app([TABLE, INSERT]);
    const db = lab.db();
    await db.open();
    const place = { path: lab.path, metaPath: db.metaPath, driver };
    await expect(withMetadataLock(place, () => 'cleared')).rejects.toMatchObject({
      code: 'DATABASE_IN_USE',
      message: expect.stringContaining(`pid ${process.pid}`) as string,
    });
    await db.close();
    await withMetadataLock(place, async () => {
      await db.open();
      expect(db.status().state).toBe('standby');
    });
    await db.sync();
    expect(db.status().state).toBe('open');
  });

  it('leaves an empty lock file that a directory scan must not open', async () => {
    await using lab = new Lab(driver);
    lab.app([TABLE]);
    const db = lab.db();
    await db.open();
    const path = join(db.metaPath, 'lock');
    expect(isKnownFile(statSync(path, { bigint: true }))).toBe(true);
    await db.close();
    expect(isKnownFile(statSync(path, { bigint: true }))).toBe(false);
    expect(statSync(path).size).toBe(0);
    expect(readdirSync(db.metaPath).filter((name) => name.startsWith('lock'))).toEqual(['lock']);
  });

  it('says so where the file system has no locks', async () => {
    await using lab = new Lab(driver);
    lab.app([TABLE]);
    // As NFS without a lock daemon: SQLite makes "busy" of ENOLCK.
    const without: SqliteDriver = {
      name: driver.name,
      version: driver.version,
      open(path, options): SqliteConnection {
        const connection = driver.open(path, options);
        return {
          exec: (sql) => {
            if (sql === 'BEGIN EXCLUSIVE') throw Object.assign(new Error('database is locked'), { errcode: 5 });
            connection.exec(sql);
          },
          get: (sql) => connection.get(sql),
          all: (sql) => connection.all(sql),
          close: () => connection.close(),
        };
      },
    };
    const db = lab.db({ driver: without });
    await expect(db.open()).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      hint: expect.stringContaining('meta-path') as string,
    });
    expect(readdirSync(db.metaPath)).toEqual(['lock']);
  });

  it('says so where something else has the name of the lock', async () => {
    await using lab = new Lab(driver);
    lab.app([TABLE]);
    const metaPath = join(lab.folder, 'meta');
    mkdirSync(join(metaPath, 'lock'), { recursive: true });
    const refusal = { code: 'PERMISSION_DENIED', object: join(metaPath, 'lock') };
    await expect(lab.db({ metaPath }).open()).rejects.toMatchObject(refusal);
  });

  it('opens no database in place of the lock file', async () => {
    await using lab = new Lab(driver);
    lab.app([TABLE]);
    const metaPath = join(lab.folder, 'meta');
    mkdirSync(metaPath);
    // SQLite would read its schema, however large.
    writeFileSync(join(metaPath, 'lock'), lab.source());
    const refusal = { code: 'PERMISSION_DENIED', object: join(metaPath, 'lock') };
    await expect(lab.db({ metaPath }).open()).rejects.toMatchObject(refusal);
  });

  it.skipIf(!mounted)('says so where the folder is on a read-only file system', async () => {
    await using lab = new Lab(driver);
    lab.app([TABLE]);
    const refusal = { code: 'PERMISSION_DENIED', message: expect.stringContaining('read-only') as string };
    await expect(lab.db({ metaPath: join(volume, 'meta') }).open()).rejects.toMatchObject(refusal);
    await expect(lab.db({ metaPath: volume }).open()).rejects.toMatchObject(refusal);
  });
});
