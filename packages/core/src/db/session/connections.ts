import { existsSync } from 'node:fs';
import type { SqliteConnection, SqliteDriver } from '../../sqlite/driver/sqlite-driver.ts';
import { isBusy, retryBusy } from '../../sqlite/driver/busy.ts';
import { keepForGood, refuseSecondLibraryAtOpening } from '../../sqlite/driver/library-conflict.ts';
import { hasCode, LitestreamError } from '../../util/error.ts';
import { traced, tracedSync } from '../../util/tracing.ts';
import { beginRead, requireSmallSchemaOn } from '../../sqlite/schema/begin-read.ts';
import type { CheckpointMode, CheckpointResult } from '../../sqlite/checkpoint/checkpoint-call.ts';
import { runCheckpoint, setUpWriter } from '../../sqlite/checkpoint/checkpoint-call.ts';
import { checkpointInWorker } from '../../sqlite/checkpoint/checkpoint-job.ts';
import { keepDescriptor, releaseDeletedIndex } from '../../sqlite/database-file/descriptor.ts';
import { openSame } from '../../sqlite/database-file/open-same.ts';
import type { OpenedFile } from '../../sqlite/database-file/open-same.ts';
import { requireSmallSchema } from '../../sqlite/schema/schema-limit.ts';

/**
 * A writer at full speed leaves the write lock for some microseconds between two transactions, and meanwhile its log
 * grows: who wants the lock has to look often, and several times in a row, which takes some 0.2 ms.
 */
const BARRIER_ATTEMPTS = 8;
const BARRIER_DELAY_MS_MAX = 2;

/** What every call needs that may meet a lock. */
export interface BusyOptions {
  readonly busyTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What else is open is closed once it was not needed for this long. */
const REST_AFTER_MS = 10_000;

/** A reader sees a handful of pages; SQLite would set memory for many more aside. */
const READER_PAGE_N = 4;

/**
 * Our connections to one database: `rw` writes and holds the write barrier, `checkpointer` checkpoints behind it, and
 * `reader` holds a read transaction (the pin) that keeps the log from restarting under us; `spare` takes its place when
 * the pin moves on. Only the reader is always open: of a thousand databases most are at rest.
 */
export class Connections {
  readonly pageSize: number;
  readonly #path: string;
  readonly #file: OpenedFile;
  readonly #driver: SqliteDriver;
  #rw: SqliteConnection | undefined;
  #reader: SqliteConnection;
  #spare: SqliteConnection | undefined;
  #checkpointer: SqliteConnection | undefined;
  #pinned = false;
  /** Calls that are using `rw`. */
  #writing = 0;
  #usedAtMs = Number.NEGATIVE_INFINITY;

  private constructor(
    database: { readonly path: string; readonly file: OpenedFile },
    driver: SqliteDriver,
    connections: { rw: SqliteConnection | undefined; reader: SqliteConnection; pageSize: number },
  ) {
    this.#path = database.path;
    this.#file = database.file;
    this.#driver = driver;
    this.#rw = connections.rw;
    this.#reader = connections.reader;
    this.pageSize = connections.pageSize;
  }

  /**
   * Opens the database, sets WAL mode and creates the two tables of Litestream (Go) if needed, and begins the read transaction
   * that is the pin. Rejects with `DATABASE_CHANGED` if the path leads to another file than this one.
   */
  static async open(
    database: { readonly path: string; readonly file: OpenedFile },
    driver: SqliteDriver,
    options: BusyOptions,
  ): Promise<Connections> {
    const { path, file } = database;
    const retry = <T>(operation: string, attempt: () => T): Promise<T> =>
      retryBusy(attempt, { ...options, operation, path });
    const reader = openSame(file, path, () => driver.open(path, { readOnly: true }));
    let rw: SqliteConnection | undefined;
    try {
      if (!(await retry('open reader', () => isPrepared(reader, path)))) {
        rw = openSame(file, path, () => driver.open(path));
        await prepare(rw, path, retry);
      }
      await refuseSecondLibraryAtOpening(path, driver);
      const pageSize = Number(await retry('page_size', () => reader.get('PRAGMA page_size')?.['page_size']));
      const connections = new Connections(database, driver, { rw, reader, pageSize });
      reader.exec(`PRAGMA cache_size = ${READER_PAGE_N}; PRAGMA shrink_memory`);
      await retry('pin', () => connections.pin());
      return connections;
    } catch (error) {
      if (hasCode(error, 'DRIVER_CONFLICT')) {
        keepForGood(reader);
        keepForGood(rw);
      } else {
        const index = keepDescriptor(`${path}-shm`);
        rw?.close();
        reader.close();
        if (index !== undefined) releaseDeletedIndex(index);
      }
      throw error;
    }
  }

  /** Connections that are open now. */
  get count(): number {
    return [this.#rw, this.#reader, this.#spare, this.#checkpointer].filter((each) => each !== undefined).length;
  }

  get pinned(): boolean {
    return this.#pinned;
  }

  /** Takes the read transaction. Throws SQLite's own error if a lock is in the way. */
  pin(): void {
    if (this.#pinned) return;
    beginRead(this.#reader);
    this.#pinned = true;
  }

  /** Takes the read transaction, waiting for a lock that is in the way. */
  pinWhenFree(options: BusyOptions): Promise<void> {
    return retryBusy(() => this.pin(), { ...options, operation: 'pin', path: this.#path });
  }

  /** Gives the read transaction up: from here on the log may restart. */
  unpin(): void {
    if (!this.#pinned) return;
    this.#pinned = false;
    this.#reader.exec('ROLLBACK');
  }

  /**
   * Moves the pin to the end of the log, so that others may move what lies before it into the database file: the new one
   * is taken before the old one is given up, and there is no moment without. False if a lock was in the way; then the pin
   * stays where it is.
   *
   * Only after everything up to the old pin was read. If all of the log is in the database file, the new pin stands on
   * that (slot 0) and the log may restart, and the old pin is all that vouches that nothing unread went there.
   */
  movePin(): boolean {
    // Where the log was deleted under us, nobody else has a use for a pin that moves.
    if (!this.#pinned || !existsSync(this.#walPath)) return false;
    this.#usedAtMs = performance.now();
    const next = (this.#spare ??= this.#openAnother({ readOnly: true }));
    try {
      beginRead(next);
    } catch (error) {
      if (isBusy(error)) return false;
      throw error;
    }
    this.#spare = this.#reader;
    this.#reader = next;
    this.#spare.exec('ROLLBACK');
    return true;
  }

  /** A connection of its own with a read transaction, for a snapshot that outlives the pin. */
  openPinned(options: BusyOptions): Promise<SqliteConnection> {
    return retryBusy(
      () => {
        // Not for reading only: SQLite keeps the descriptor of a closed connection for the next one of its kind, so this one
        // gets the writer's and leaves no other behind.
        const connection = this.#openWriter();
        try {
          beginRead(connection);
        } catch (error) {
          connection.close();
          throw error;
        }
        return connection;
      },
      { ...options, operation: 'snapshot', path: this.#path },
    );
  }

  /**
   * Writes a row of `_litestream_seq`, and the tables if they are missing, so that the WAL has a header and a commit. If the
   * schema has a trigger or a view there, none of it runs: a value in the header is written again instead.
   */
  async bumpSequence(options: BusyOptions): Promise<void> {
    await this.#write(() =>
      retryBusy(
        () =>
          inTransaction(this.#writer(), (connection) => {
            // The schema may have changed since the connection read it.
            requireSmallSchema(this.#path);
            return areForeign(connection) ? rewriteVersion(connection) : BUMP;
          }),
        { ...options, operation: 'write _litestream_seq', path: this.#path },
      ),
    );
  }

  /** Lets SQLite repair a wal-index header that a writer left half-written: each connection that begins to read does. */
  recoverIndex(): void {
    const connection = this.#openAnother({ readOnly: true });
    try {
      beginRead(connection);
      connection.exec('ROLLBACK');
    } catch (error) {
      if (!isBusy(error)) throw error;
    } finally {
      connection.close();
    }
  }

  /**
   * Runs `body` while nobody can write to the database. It must not wait for anything: an application on this very
   * thread may be trying to write.
   */
  async barrier<T>(options: BusyOptions, body: () => T): Promise<T> {
    return await this.#write(async () => {
      await retryBusy(() => this.#beginWriting(), {
        ...options,
        operation: 'checkpoint',
        path: this.#path,
        delayMsMax: BARRIER_DELAY_MS_MAX,
      });
      try {
        return body();
      } finally {
        this.#writer().exec('ROLLBACK');
      }
    });
  }

  /**
   * Closes what only writing and checkpoints need, if that was not needed for a while. Cheap; may be called at any moment. The
   * pin stays, and with it the log: a connection that can write deletes it only where no other one is open.
   */
  rest(afterMs: number = REST_AFTER_MS): void {
    if (this.#writing > 0 || !this.#pinned || performance.now() - this.#usedAtMs < afterMs) return;
    this.#checkpointer?.close();
    this.#checkpointer = undefined;
    this.#rw?.close();
    this.#rw = undefined;
    this.#spare?.close();
    this.#spare = undefined;
  }

  #beginWriting(): void {
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#writer().exec('BEGIN IMMEDIATE');
        return;
      } catch (error) {
        if (attempt === BARRIER_ATTEMPTS || !isBusy(error)) throw error;
      }
    }
  }

  /** One attempt. A lock in the way is told by `busy`, never thrown. */
  checkpoint(mode: CheckpointMode): CheckpointResult {
    this.#usedAtMs = performance.now();
    const checkpointer = (this.#checkpointer ??= this.#openWriter());
    return tracedSync(
      'checkpoint',
      () => ({ path: this.#path, mode }),
      () => runCheckpoint(checkpointer, mode),
    );
  }

  /**
   * A PASSIVE checkpoint in a worker thread, with a connection of its own, or on this thread if no worker can load the
   * library. None of our connections may be closed for good meanwhile.
   */
  async checkpointElsewhere(signal: AbortSignal | undefined): Promise<CheckpointResult> {
    const library = this.#driver.inWorker?.();
    if (library === undefined) return this.checkpoint('PASSIVE');
    this.#requireWal();
    requireSmallSchema(this.#path);
    // The worker's connection takes the descriptor that this one gives up, and the next one takes it over in turn.
    this.#checkpointer?.close();
    this.#checkpointer = undefined;
    const result = await traced(
      'checkpoint',
      () => ({ path: this.#path, mode: 'PASSIVE' }),
      () => checkpointInWorker({ path: this.#path, file: this.#file, library }, signal),
    );
    return result ?? this.checkpoint('PASSIVE');
  }

  /**
   * Closes all connections. Where `keepsWal`, the pinned one last: a connection that cannot write leaves the WAL file where
   * it is, and with it our place in it. Otherwise SQLite removes the WAL, unless another program has the database open.
   */
  close({ keepsWal }: { readonly keepsWal: boolean } = { keepsWal: true }): void {
    const last = keepsWal || !existsSync(this.#walPath) ? undefined : this.#writer();
    this.#checkpointer?.close();
    if (last === undefined) this.#rw?.close();
    this.#spare?.close();
    this.#reader.close();
    this.#pinned = false;
    last?.close();
  }

  async #write<T>(body: () => Promise<T>): Promise<T> {
    this.#writing++;
    try {
      return await body();
    } finally {
      this.#writing--;
      this.#usedAtMs = performance.now();
    }
  }

  #writer(): SqliteConnection {
    return (this.#rw ??= this.#openWriter());
  }

  get #walPath(): string {
    return `${this.#path}-wal`;
  }

  #openWriter(): SqliteConnection {
    const connection = this.#openAnother();
    try {
      requireSmallSchema(this.#path);
      setUpWriter(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  /** Where the log was deleted under us, a new connection would make a second one, and ruin the database with it. */
  #openAnother(options: { readOnly?: boolean } = {}): SqliteConnection {
    this.#requireWal();
    return openSame(this.#file, this.#path, () => this.#driver.open(this.#path, options));
  }

  #requireWal(): void {
    const log = this.#walPath;
    if (existsSync(log)) return;
    throw new LitestreamError(`the -wal file was deleted while in use: ${log}`, {
      code: 'WAL_LOST',
      retryable: true,
      operation: 'open',
      object: log,
      hint: 'Close all connections to this database; the last one to close checkpoints the WAL. Then open it again.',
    });
  }
}

/** Upstream's tables: it wants them when it takes over. Writes nothing where they are. */
const TABLES = `CREATE TABLE IF NOT EXISTS _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
CREATE TABLE IF NOT EXISTS _litestream_lock (id INTEGER)`;

const BUMP = `${TABLES};
INSERT INTO _litestream_seq (id, seq) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET seq = seq + 1`;

/** The statements that create the tables, as SQLite stores them; those of Litestream (Go) are the same. */
const SCHEMA: ReadonlySet<string> = new Set([
  'CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)',
  'CREATE TABLE _litestream_lock (id INTEGER)',
]);

/**
 * Does the schema have other objects with these names, or objects attached to the tables: a trigger, a view, an index, a
 * column with a check? A write would run them, on the thread of all databases, and a statement cannot be interrupted.
 */
function areForeign(connection: SqliteConnection): boolean {
  const rows = connection.all(
    `SELECT type, sql FROM sqlite_schema WHERE lower(name) IN ('_litestream_seq', '_litestream_lock')
    OR lower(tbl_name) IN ('_litestream_seq', '_litestream_lock')`,
  );
  return rows.some(({ type, sql }) => type !== 'table' || typeof sql !== 'string' || !SCHEMA.has(sql));
}

/** Changes no value, but makes a commit. */
function rewriteVersion(connection: SqliteConnection): string {
  return `PRAGMA user_version = ${Number(connection.get('PRAGMA user_version')?.['user_version'] ?? 0)}`;
}

/** One transaction, so that no reader sees half of our writes. `sqlOf` runs within it. */
function inTransaction(connection: SqliteConnection, sqlOf: (connection: SqliteConnection) => string): void {
  connection.exec('BEGIN IMMEDIATE');
  try {
    connection.exec(`${sqlOf(connection)}; COMMIT`);
  } catch (error) {
    try {
      connection.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full.
    }
    throw error;
  }
}

type Retry = <T>(operation: string, attempt: () => T) => Promise<T>;

/** Is the database in WAL mode, with our tables in it? If a reader cannot find out, a writer has to repair the database. */
function isPrepared(reader: SqliteConnection, path: string): boolean {
  try {
    requireSmallSchemaOn(reader, path);
    if (reader.get('PRAGMA journal_mode')?.['journal_mode'] !== 'wal') return false;
    const row = reader.get(
      `SELECT COUNT(1) AS n FROM sqlite_schema WHERE type = 'table' AND name IN ('_litestream_seq', '_litestream_lock')`,
    );
    return Number(row?.['n']) === 2 || areForeign(reader);
  } catch (error) {
    if (isBusy(error) || hasCode(error, 'SCHEMA_TOO_LARGE')) throw error;
    return false;
  }
}

async function prepare(rw: SqliteConnection, path: string, retry: Retry): Promise<void> {
  await retry('read', () => requireSmallSchemaOn(rw, path));
  const mode = await retry('journal_mode', () => rw.get('PRAGMA journal_mode = wal')?.['journal_mode']);
  if (mode !== 'wal') {
    throw new LitestreamError(`cannot enable WAL mode (it is "${String(mode)}"): ${path}`, {
      code: 'DATABASE_INVALID',
      operation: 'open',
      object: path,
      hint: 'Litestream needs write-ahead logging: the database must be writable, and on a local file system.',
    });
  }
  await retry('create tables', () => {
    setUpWriter(rw);
    // Objects in their place stay: nothing here needs the tables.
    inTransaction(rw, (connection) => (areForeign(connection) ? rewriteVersion(connection) : TABLES));
  });
}
