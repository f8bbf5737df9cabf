/** A folder with one database, its follower, and an oracle that knows nothing of how either works. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kernel, LtxDecoder } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { BetterSqlite3, DbOptions, LogFields, Logger, SqliteConnection, SqliteDriver } from '../../src/index.ts';
import { DB, betterSqlite3, nodeSqlite } from '../../src/index.ts';
import { removeFolder } from '../../../../tests/support/remove-folder.ts';

const require = createRequire(import.meta.url);

/** Both drivers; an application in the same process must use the same one. */
export const drivers: readonly SqliteDriver[] = [nodeSqlite, betterSqlite3(require('better-sqlite3') as BetterSqlite3)];

/** Numbers from a seed, the same ones for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed of a test: from the environment, or the clock. Printed, so that a failure can be had again. */
export function seedOf(name: string): number {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  console.log(`${name}: SEED=${seed}`);
  return seed;
}

/** Tests create their databases themselves, and no program copies them there. With the default, tests would mostly wait. */
export const SHORT_QUIET_MS = 20;

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** Keeps what is logged. */
export function recordingLogger(lines: LogLine[] = []): Logger & { readonly lines: LogLine[] } {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void =>
      void lines.push({ level, message, fields });
  return {
    lines,
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => recordingLogger(lines),
  };
}

export class Lab implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'litestream-db-'));
  readonly path: string = join(this.folder, 'app.db');
  readonly logger: Logger & { readonly lines: LogLine[] } = recordingLogger();
  readonly driver: SqliteDriver;
  readonly #followers = new Set<DB>();
  readonly #connections = new Set<SqliteConnection>();
  readonly #children = new Set<ChildProcess>();

  constructor(driver: SqliteDriver = nodeSqlite) {
    this.driver = driver;
  }

  /** A follower with background work off: tests say when. */
  db(options: DbOptions = {}): DB {
    const db = new DB(this.path, {
      driver: this.driver,
      logger: this.logger,
      checkpointIntervalMs: 0,
      minCheckpointPageN: 1_000_000,
      arrivalQuietMs: SHORT_QUIET_MS,
      ...options,
    });
    this.#followers.add(db);
    return db;
  }

  /** A connection of the application, in this process. */
  app(setup: readonly string[] = []): SqliteConnection {
    if (!existsSync(this.path)) writeFileSync(this.path, '');
    const connection = this.driver.open(this.path);
    this.#connections.add(connection);
    for (const sql of setup) connection.exec(sql);
    connection.get('PRAGMA journal_mode = wal');
    return connection;
  }

  /** Closes a follower while the application writes: it cannot checkpoint, and the WAL stays as after a crash. */
  async closeWhileLocked(db: DB, app: SqliteConnection): Promise<void> {
    app.exec('BEGIN IMMEDIATE');
    try {
      await db.close();
    } finally {
      app.exec('ROLLBACK');
    }
  }

  closeApp(connection: SqliteConnection): void {
    this.#connections.delete(connection);
    connection.close();
  }

  /** A child process from `test/helpers`. Resolves when it has said `ready`. */
  async child(script: string, options: object = {}): Promise<ChildProcess> {
    const child = spawn(process.execPath, ['--no-warnings', helper(script), this.path, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#children.add(child);
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stdout?.on('data', (data: Buffer) => {
        said += data.toString();
        if (said.includes('ready\n')) resolve();
      });
      child.once('exit', (code, signal) => reject(new Error(`${script} ended early: ${code} ${signal}`)));
    });
    return child;
  }

  /** Headers of the local level-0 files, in order. */
  async headers(): Promise<LtxHeader[]> {
    const files = new DB(this.path).localLtx(0).list();
    return Promise.all(files.map((file) => new LtxDecoder(createReadStream(file.path)).header()));
  }

  /** How often a whole database was written for a given reason, or any. */
  snapshots(): string[] {
    return this.logger.lines
      .filter((line) => line.message === 'sync' && line.fields['snap'] === 'true')
      .map((line) => String(line.fields['reason']));
  }

  /** The database as the level-0 files make it, up to a transaction. */
  async rebuild(maxTxid?: bigint): Promise<Buffer> {
    let last = Buffer.alloc(0);
    for await (const { database } of this.states(maxTxid)) last = database;
    return last;
  }

  /** The header of each level-0 file, up to a transaction, and the database as the files up to this one make it. */
  async *states(last?: bigint): AsyncGenerator<{ readonly header: LtxHeader; readonly database: Buffer<ArrayBuffer> }> {
    let database = Buffer.alloc(0);
    let next = 1n;
    for (const { minTxid, maxTxid, path } of new DB(this.path).localLtx(0).list()) {
      if (last !== undefined && maxTxid > last) return;
      if (minTxid !== next) throw new Error(`expected TXID ${next}, found ${minTxid}`);
      next = maxTxid + 1n;
      const header = await new LtxDecoder(createReadStream(path)).header();
      database = await applyLtx(database, createReadStream(path));
      yield { header, database };
    }
  }

  /** The database as SQLite has it now, made from a copy of the file and its WAL. No program may write meanwhile. */
  source(): Buffer {
    const folder = join(this.folder, 'copy');
    removeFolder(folder, { force: true });
    mkdirSync(folder);
    copyElsewhere([this.path, `${this.path}-wal`].filter(existsSync), folder);
    const copy = join(folder, basename(this.path));
    const connection = this.driver.open(copy);
    try {
      if (connection.get('PRAGMA wal_checkpoint(TRUNCATE)')?.['busy'] !== 0) throw new Error('the copy is busy');
    } finally {
      connection.close();
    }
    return readFileSync(copy);
  }

  /**
   * Throws unless the level-0 files make exactly the database that SQLite has, and the last file states its checksum or none.
   */
  async verify(): Promise<void> {
    const source = this.source();
    compare(await this.rebuild(), source);
    const stated = (await this.headers()).at(-1)?.extension?.databaseChecksum ?? 0n;
    if (stated !== 0n && stated !== checksumOf(source)) throw new Error('the last file states another database');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One that goes on writing while the folder is removed would leave files in it.
    await Promise.all([...this.#children].map(killed));
    for (const db of this.#followers) await db.close();
    for (const connection of this.#connections) connection.close();
    removeFolder(this.folder, { force: true });
  }
}

export async function applyLtx(base: Buffer, file: AsyncIterable<Uint8Array>): Promise<Buffer<ArrayBuffer>> {
  const decoder = new LtxDecoder(file);
  const header = await decoder.header();
  const database = Buffer.alloc(header.commit * header.pageSize);
  base.copy(database);
  for await (const batch of decoder.batches()) {
    for (const [index, pgno] of batch.pgnos.entries()) {
      const page = batch.pages.subarray(index * header.pageSize, (index + 1) * header.pageSize);
      database.set(page, (pgno - 1) * header.pageSize);
    }
  }
  await decoder.finish();
  return database;
}

/** The database checksum as our header extension states it. */
export function checksumOf(database: Buffer): bigint {
  const stored = database.readUInt16BE(16);
  const pageSize = stored === 1 ? 65536 : stored;
  const pgnos = Uint32Array.from({ length: database.length / pageSize }, (_, index) => index + 1);
  const checksums = kernel().pageHashes(pgnos, database, pageSize);
  return checksums.reduce((sum, each) => sum ^ each, 0n) | (1n << 63n);
}

/** Throws with the numbers of the pages that differ. */
export function compare(actual: Buffer, expected: Buffer): void {
  if (actual.equals(expected)) return;
  const pageSize = expected.readUInt16BE(16) === 1 ? 65536 : expected.readUInt16BE(16);
  const differing: number[] = [];
  for (let pgno = 1; pgno <= Math.max(actual.length, expected.length) / pageSize; pgno++) {
    const start = (pgno - 1) * pageSize;
    if (!actual.subarray(start, start + pageSize).equals(expected.subarray(start, start + pageSize)))
      differing.push(pgno);
  }
  throw new Error(
    `${actual.length / pageSize} pages, expected ${expected.length / pageSize}; ${differing.length} differ: ${differing.slice(0, 20).join(' ')}`,
  );
}

/** Checks a database that a chain writer wrote: SQLite's own check, and every row's hash. Returns the number of rows. */
export function verifyChain(lab: Lab, database: Buffer): number {
  const path = join(lab.folder, 'check.db');
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  writeFileSync(path, database);
  const connection = lab.driver.open(path);
  try {
    const verdict = connection.get('PRAGMA integrity_check')?.['integrity_check'];
    if (verdict !== 'ok') throw new Error(`integrity_check: ${String(verdict)}`);
    let previous = '';
    let id = 0;
    for (const row of connection.all('SELECT id, payload, hash FROM chain ORDER BY id')) {
      if (Number(row['id']) !== ++id) throw new Error(`row ${id} is missing`);
      const expected = createHash('sha256')
        .update(`${previous}|${id}|`)
        .update(row['payload'] as Uint8Array);
      previous = expected.digest('hex');
      if (row['hash'] !== previous) throw new Error(`the hash of row ${id} is wrong`);
    }
    return id;
  } finally {
    connection.close();
  }
}

/** Copies files in another process: to close a descriptor of a database in this one would drop SQLite's locks on it. */
function copyElsewhere(files: readonly string[], folder: string): void {
  if (process.platform === 'win32') {
    for (const file of files) copyFileSync(file, join(folder, basename(file)));
    return;
  }
  const { status, stderr } = spawnSync('cp', [...files, folder], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function helper(script: string): string {
  return fileURLToPath(new URL(script, import.meta.url));
}
