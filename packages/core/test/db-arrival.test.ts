/** Database files that appear at a path that is waited for, by every way in which programs and people put them there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test, vi } from 'vitest';
import { pause, until } from '../../../tests/support/wait.ts';
import { hasCode } from '../src/index.ts';
import type { DB, SqliteConnection, SqliteDriver } from '../src/index.ts';
import { ArrivalWatch } from '../src/db/open/arrival.ts';
import { ARRIVAL_QUIET_MS } from '../src/db/session/options.ts';
import { isBeingWritten, isOpenInSqlite, parseLocks } from '../src/sqlite/driver/file-locks.ts';
import { Lab, drivers } from './helpers/db-lab.ts';

const ROWS = 5000;

/** Runs a shell command to its end. Throws what it wrote to standard error if it failed. */
async function shell(command: string, environment: Record<string, string>): Promise<void> {
  const child = spawn('sh', ['-c', command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...environment, NODE: process.execPath },
  });
  const errors: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
  const [exitCode] = (await once(child, 'close')) as [number | null];
  if (exitCode !== 0) throw new Error(`${command}: ${errors.join('')}`);
}

/** A database that is copied, in rollback mode as most backups are. */
function makeSource(driver: SqliteDriver, path: string, setup = ''): void {
  writeFileSync(path, '');
  const source = driver.open(path);
  source.exec(`${setup}; CREATE TABLE t (a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ${ROWS})
    INSERT INTO t SELECT 'row ' || i FROM n`);
  source.close();
}

/** Waits for a database file, by itself: the loop runs. */
async function waitingFor(lab: Lab, arrivalQuietMs = ARRIVAL_QUIET_MS): Promise<DB> {
  const db = lab.db({ syncIntervalMs: 20, monitorIntervalMs: 200, arrivalQuietMs });
  await db.open();
  expect(db.status().state).toBe('waiting');
  db.start();
  return db;
}

function rowsOf(connection: SqliteConnection): number {
  expect(connection.get('PRAGMA integrity_check')?.['integrity_check']).toBe('ok');
  return Number(connection.get('SELECT COUNT(*) AS n FROM t')?.['n']);
}

/** A checkpoint that ended in the middle: the first page is written, and one of those that the file grows by. */
function killedInCheckpoint(lab: Lab): { killed: string; walPages: number } {
  const app = lab.app(['CREATE TABLE t (a)', 'PRAGMA wal_checkpoint(TRUNCATE)']);
  app.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ${ROWS})
    INSERT INTO t SELECT 'row ' || i FROM n`);
  const killed = join(lab.folder, 'killed.db');
  const size = statSync(lab.path).size;
  copyFileSync(`${lab.path}-wal`, `${killed}-wal`);
  app.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  writeFileSync(killed, readFileSync(lab.path).subarray(0, size + 4096));
  return { killed, walPages: (statSync(`${killed}-wal`).size - 32) / (24 + 4096) };
}

const copies: readonly (readonly [string, string])[] = [
  ['cp', 'cp "$FROM" "$TO"'],
  ['install', 'install -m 644 "$FROM" "$TO"'],
  ['cat', 'cat "$FROM" > "$TO"'],
  ['mv', 'cp "$FROM" "$TO.part"; mv "$TO.part" "$TO"'],
  ['cat, a while after the shell made the file', '(sleep 1.5; cat "$FROM") > "$TO"'],
  [
    'a pipe that pauses for seconds',
    '(head -c 9000 "$FROM"; sleep 1.6; tail -c +9001 "$FROM" | head -c 50000; sleep 1.6; tail -c +59001 "$FROM") > "$TO"',
  ],
  [
    'into a preallocated file, with pauses of seconds',
    'truncate -s $(stat -c %s "$FROM") "$TO"; sleep 1.5; head -c 20480 "$FROM" | dd of="$TO" conv=notrunc bs=4096 2>/dev/null; sleep 1.6; tail -c +20481 "$FROM" | dd of="$TO" conv=notrunc bs=4096 seek=5 2>/dev/null',
  ],
  [
    'into a preallocated file that one program keeps open',
    '$NODE -e \'const fs = require("fs"), b = fs.readFileSync(process.env.FROM), d = fs.openSync(process.env.TO, "w"); fs.ftruncateSync(d, b.length); const last = b.length - 4096; fs.writeSync(d, b, last, 4096, last); fs.writeSync(d, b, 0, 8192, 0); setTimeout(() => { fs.writeSync(d, b, 8192, last - 8192, 8192); fs.closeSync(d); }, 2500)\'',
  ],
  ['VACUUM INTO', 'sqlite3 "$FROM" "VACUUM INTO \'$TO\'"'],
  ['.backup', 'sqlite3 "$FROM" ".backup $TO"'],
  [
    'the backup API, with pauses',
    'python3 -c \'import os, sqlite3; sqlite3.connect(os.environ["FROM"]).backup(sqlite3.connect(os.environ["TO"]), pages=7, sleep=0.2, progress=lambda *_: __import__("time").sleep(0.2))\'',
  ],
];

// At the same time: they wait for programs that pause, and for the quiet time.
describe.each(drivers)('a database that appears, with $name', { concurrent: true }, (driver) => {
  it.each(copies)('by %s is what was copied, and is replicated', async (_how, command) => {
    await using lab = new Lab(driver);
    const from = join(lab.folder, 'from');
    makeSource(driver, from);
    const db = await waitingFor(lab);
    await shell(command, { FROM: from, TO: lab.path });
    await vi.waitFor(() => expect(db.position.txid).toBeGreaterThan(0n), { timeout: 100_000, interval: 20 });
    await db.stop();
    await db.sync();
    expect(rowsOf(lab.app())).toBe(ROWS);
    await lab.verify();
    const complaints = lab.logger.lines.filter(({ level }) => level === 'error' || level === 'warn');
    // A lock that is held for ten seconds is reported: by a program that the machine stopped within its transaction.
    expect(complaints.filter(({ fields }) => !hasCode(fields['error'], 'DATABASE_BUSY'))).toEqual([]);
  });

  it('is not destroyed by a plain cp in one of twenty tries', async () => {
    await using labs = new AsyncDisposableStack();
    const all = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const lab = labs.use(new Lab(driver));
        return { lab, db: await waitingFor(lab) };
      }),
    );
    const from = join(all[0]?.lab.folder ?? '', 'from');
    makeSource(driver, from);
    for (const { lab } of all) await shell('cp "$FROM" "$TO"', { FROM: from, TO: lab.path });
    for (const { lab, db } of all) {
      await vi.waitFor(() => expect(db.position.txid).toBeGreaterThan(0n), { timeout: 100_000, interval: 20 });
      await db.stop();
      expect(rowsOf(lab.app())).toBe(ROWS);
    }
  });

  it.each([
    ['VACUUM INTO', `sqlite3 "$FROM" "VACUUM INTO '$TO'"`],
    ['.backup', 'sqlite3 "$FROM" ".backup $TO"'],
  ])('by %s, for long and under a lock, does not fail the program that makes it', async (_how, command) => {
    await using lab = new Lab(driver);
    const from = join(lab.folder, 'from');
    makeSource(driver, from);
    const more = driver.open(from);
    more.exec(
      'CREATE TABLE big (a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 6000) INSERT INTO big SELECT randomblob(10000) FROM n',
    );
    more.close();
    const db = await waitingFor(lab);
    await shell(command, { FROM: from, TO: lab.path });
    await vi.waitFor(() => expect(db.position.txid).toBeGreaterThan(0n), { timeout: 100_000, interval: 20 });
    await db.stop();
    expect(rowsOf(lab.app())).toBe(ROWS);
  });

  it('and whose locks cannot be seen is taken while another process writes to it in WAL mode', async () => {
    await using lab = new Lab(driver);
    lab.app(['CREATE TABLE chain (id INTEGER PRIMARY KEY, payload BLOB, hash TEXT)']);
    const watch = new ArrivalWatch(lab.path, lab.logger, { locks: () => undefined });
    const writing = await lab.child('db-writer.mjs', {});
    expect(await until('the file is taken', () => watch.settled({ busyTimeoutMs: 0 }))).toBeDefined();
    writing.kill('SIGKILL');
  });

  it('and whose writer was killed within a checkpoint is whole with its WAL', async () => {
    await using lab = new Lab(driver);
    const { killed, walPages } = killedInCheckpoint(lab);
    // Within a minute after its last change, so that a busy machine cannot let it grow quiet.
    expect(new ArrivalWatch(killed, lab.logger, { quietMs: 60_000 }).look()).toMatchObject({ state: 'waiting' });
    expect(await new ArrivalWatch(killed, lab.logger).settled({ busyTimeoutMs: 0 })).toBeDefined();
    // The same file without a WAL, or with one that lacks its last pages, is being copied.
    const other = join(lab.folder, 'other.db');
    copyFileSync(killed, other);
    expect(new ArrivalWatch(other, lab.logger).look()).toMatchObject({
      reason: expect.stringContaining('being copied'),
    });
    const wal = readFileSync(`${killed}-wal`);
    writeFileSync(`${other}-wal`, wal.subarray(0, wal.length - Math.floor(walPages / 2) * (24 + 4096)));
    expect(await new ArrivalWatch(other, lab.logger).settled({ busyTimeoutMs: 0 })).toBeUndefined();
  });

  it('and whose last pages are free, and zeros, is whole', async () => {
    await using lab = new Lab(driver);
    writeFileSync(lab.path, '');
    const app = driver.open(lab.path);
    app.exec(
      'PRAGMA secure_delete = ON; CREATE TABLE t (a); CREATE TABLE u (a); INSERT INTO u VALUES (zeroblob(200000))',
    );
    app.exec('DELETE FROM u');
    app.close();
    const bytes = readFileSync(lab.path);
    expect(bytes.subarray(-4096).every((byte) => byte === 0)).toBe(true);
    expect(await new ArrivalWatch(lab.path, lab.logger).settled({ busyTimeoutMs: 0 })).toBeDefined();
    // So is the same file, half copied into preallocated space: a page that is in use is zeros.
    const half = join(lab.folder, 'half.db');
    writeFileSync(half, Buffer.concat([bytes.subarray(0, 4096), Buffer.alloc(bytes.length - 4096)]));
    expect(await new ArrivalWatch(half, lab.logger).settled({ busyTimeoutMs: 0 })).toBeUndefined();
  });

  it('whose log is copied after it, keeps what is in that', async () => {
    await using lab = new Lab(driver);
    const from = join(lab.folder, 'from');
    makeSource(driver, from, 'PRAGMA journal_mode = WAL');
    const live = driver.open(from);
    live.exec('PRAGMA wal_autocheckpoint = 0; CREATE TABLE late (a); INSERT INTO late VALUES (1)');
    // Longer than a busy machine stops the shell between its commands: a file that is quiet is opened, without the WAL.
    const db = await waitingFor(lab, 10_000);
    await shell(
      'cp "$FROM" "$TO"; sleep 0.3; head -c 5000 "$FROM-wal" > "$TO-wal"; sleep 0.5; cp "$FROM-wal" "$TO-wal"',
      {
        FROM: from,
        TO: lab.path,
      },
    );
    await vi.waitFor(() => expect(db.position.txid).toBeGreaterThan(0n), { timeout: 100_000, interval: 20 });
    live.close();
    await db.stop();
    const app = lab.app();
    expect(rowsOf(app)).toBe(ROWS);
    expect(app.get('SELECT COUNT(*) AS n FROM late')).toEqual({ n: 1 });
    await db.sync();
    await lab.verify();
  });

  it('and is still being set up keeps its page size, auto_vacuum and encoding, and is never locked', async () => {
    await using lab = new Lab(driver);
    const db = await waitingFor(lab);
    writeFileSync(lab.path, '');
    const app = driver.open(lab.path);
    await pause(1500, 'an application that takes its time');
    for (const sql of [
      'PRAGMA page_size = 8192',
      'PRAGMA auto_vacuum = FULL',
      "PRAGMA encoding = 'UTF-16le'",
      'PRAGMA user_version = 7',
    ]) {
      app.exec(sql);
      await pause(500, 'an application that takes its time');
    }
    await pause(1000, 'longer than the quiet time');
    expect(db.status().state).toBe('waiting');
    app.exec("CREATE TABLE t (a); INSERT INTO t VALUES ('x')");
    await vi.waitFor(() => expect(db.position.txid).toBeGreaterThan(0n), { timeout: 100_000, interval: 20 });
    expect(app.get('PRAGMA page_size')).toEqual({ page_size: 8192 });
    expect(app.get('PRAGMA auto_vacuum')).toEqual({ auto_vacuum: 1 });
    expect(app.get('PRAGMA encoding')).toEqual({ encoding: 'UTF-16le' });
    expect(app.get('PRAGMA user_version')).toEqual({ user_version: 7 });
    app.close();
    await db.stop();
    await db.sync();
    await lab.verify();
  });

  it('in WAL mode without a table is left alone until it has one, in the log alone', async () => {
    await using lab = new Lab(driver);
    const db = await waitingFor(lab);
    const app = lab.app();
    app.exec('PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 3');
    await until('it is quiet, and only a table is missing', () => db.status().waitingFor?.includes('table'));
    expect(db.status().state).toBe('waiting');
    expect(app.all('SELECT name FROM sqlite_schema')).toEqual([]);
    app.exec('CREATE TABLE t (a)');
    await vi.waitFor(() => expect(db.position.txid).toBeGreaterThan(0n), { timeout: 100_000, interval: 10 });
    await db.stop();
    await db.sync();
    await lab.verify();
  });

  it('is taken at once where SQLite writes it all the time', async () => {
    await using lab = new Lab(driver);
    const db = await waitingFor(lab);
    const app = lab.app(['CREATE TABLE t (a)']);
    const over = new AbortController();
    const writing = (async () => {
      while (!over.signal.aborted) {
        app.exec('INSERT INTO t VALUES (randomblob(2000))');
        await pause(5, 'between two transactions');
      }
    })();
    await vi.waitFor(() => expect(db.position.txid).toBeGreaterThan(0n), { timeout: 100_000, interval: 10 });
    over.abort();
    await writing;
    await db.stop();
    await db.sync();
    await lab.verify();
  });

  it('and holds a write lock is never opened, and says so', async () => {
    await using lab = new Lab(driver);
    makeSource(driver, lab.path);
    const app = driver.open(lab.path);
    app.exec('BEGIN EXCLUSIVE; DELETE FROM t WHERE a < 0');
    const error = await lab
      .db({ busyTimeoutMs: 100 })
      .open()
      .then(
        () => undefined,
        (caught: unknown) => caught,
      );
    expect(hasCode(error, 'DATABASE_BUSY')).toBe(true);
    app.exec('COMMIT');
    app.close();
  });

  it('says once why it waits, and shows it', async () => {
    await using lab = new Lab(driver);
    writeFileSync(lab.path, '');
    const db = lab.db({ monitorIntervalMs: 50 });
    await db.open();
    db.start();
    await vi.waitFor(() => expect(db.status().waitingFor).toMatch('empty'), { timeout: 100_000, interval: 10 });
    await db.stop();
    expect(lab.logger.lines).toContainEqual(
      expect.objectContaining({ level: 'debug', message: 'database is not ready, waiting for it' }),
    );
    expect(statSync(lab.path).size).toBe(0);
    expect(existsSync(`${lab.path}-wal`)).toBe(false);
  });

  it('is not waited for where it was there long before', async () => {
    await using lab = new Lab(driver);
    makeSource(driver, lab.path);
    await pause(1300, 'longer than the quiet time');
    // What it must not do is wait for a second.
    expect(new ArrivalWatch(lab.path, lab.logger).look().state).toBe('settled');
    const db = lab.db({ arrivalQuietMs: ARRIVAL_QUIET_MS });
    await db.open();
    expect(db.status().state).toBe('open');
  });
});

test('locks are read from the list of Linux: their kinds, waiting ones and leases aside', () => {
  const text = `1: POSIX  ADVISORY  WRITE 24910 fe:00:10092940 1073741825 1073741825
2: POSIX  ADVISORY  READ 24910 fe:00:10092929 128 128
2: -> POSIX  ADVISORY  WRITE 7 fe:00:10092929 120 120
3: FLOCK  ADVISORY  WRITE 8 fe:00:11 0 EOF
4: OFDLCK ADVISORY  WRITE -1 103:02:12 1073741826 1073742335
5: LEASE  ACTIVE    READ 9 fe:00:13 0 EOF
6: POSIX  ADVISORY  READ 24910 fe:00:10092931 127 128
7: POSIX  ADVISORY  WRITE 8 fe:00:10092932 0 EOF
`;
  const locks = parseLocks(text);
  expect(locks.map(({ kind, device, inode, start, end }) => [kind, device, inode, start, end])).toEqual([
    ['WRITE', 'fe:00', 10_092_940n, 1_073_741_825, 1_073_741_825],
    ['READ', 'fe:00', 10_092_929n, 128, 128],
    ['WRITE', '103:02', 12n, 1_073_741_826, 1_073_742_335],
    ['READ', 'fe:00', 10_092_931n, 127, 128],
    ['WRITE', 'fe:00', 10_092_932n, 0, Number.POSITIVE_INFINITY],
  ]);
  expect(isBeingWritten(locks, { dev: 0xfe00n, ino: 10_092_940n })).toBe(true);
  expect(isBeingWritten(locks, { dev: 0xfe00n, ino: 10_092_929n })).toBe(false);
  expect(isOpenInSqlite(locks, { dev: 0xfe00n, ino: 10_092_929n })).toBe(true);
  // The kernel has merged the lock of read mark 4 with the dead-man switch.
  expect(isOpenInSqlite(locks, { dev: 0xfe00n, ino: 10_092_931n })).toBe(true);
  // Some libraries lock the whole file.
  expect(isBeingWritten(locks, { dev: 0xfe00n, ino: 10_092_932n })).toBe(true);
  // The same number on another file system.
  expect(isOpenInSqlite(locks, { dev: 0xfd00n, ino: 10_092_929n })).toBe(false);
});

describe.each(drivers)('our tables, with $name', (driver) => {
  it('come in one transaction, behind the table of the application', async () => {
    await using lab = new Lab(driver);
    makeSource(driver, lab.path);
    const before = readFileSync(lab.path);
    const db = lab.db();
    await db.open();
    const app = lab.app();
    expect(app.all('SELECT name FROM sqlite_schema').map(({ name }) => name)).toEqual([
      't',
      '_litestream_seq',
      '_litestream_lock',
    ]);
    expect(before.readUInt32BE(44)).toBe(4);
  });

  it('are made again when they are missed', async () => {
    await using lab = new Lab(driver);
    const app = lab.app(['CREATE TABLE t (a)']);
    const db = lab.db();
    await db.open();
    await db.sync();
    app.exec('DROP TABLE _litestream_seq; DROP TABLE _litestream_lock; INSERT INTO t VALUES (1)');
    await db.close();
    app.get('PRAGMA wal_checkpoint(TRUNCATE)');
    lab.closeApp(app);
    rmSync(`${lab.path}-wal`, { force: true });
    const again = lab.db();
    await again.open();
    await again.sync();
    await lab.verify();
    expect(lab.app().all("SELECT name FROM sqlite_schema WHERE name LIKE '_litestream%'")).toHaveLength(2);
  });
});
