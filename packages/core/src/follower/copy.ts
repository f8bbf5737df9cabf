import { closeSync, fstatSync, openSync } from 'node:fs';
import { requireSmallSchemaOn } from '../sqlite/schema/begin-read.ts';
import { isAtPath, keepDescriptor, releaseDeleted } from '../sqlite/database-file/descriptor.ts';
import { requireLastingDescriptors } from '../sqlite/database-file/lasting-descriptors.ts';
import type { DatabaseDescriptor } from '../sqlite/database-file/descriptor.ts';
import { openSame } from '../sqlite/database-file/open-same.ts';
import { requireSmallSchema } from '../sqlite/schema/schema-limit.ts';
import { openDatabaseFile } from '../sqlite/database-file/validate.ts';
import { isBusy, retryBusy } from '../sqlite/driver/busy.ts';
import { keepForGood, refuseSecondLibrary } from '../sqlite/driver/library-conflict.ts';
import type { SqliteConnection, SqliteDriver } from '../sqlite/driver/sqlite-driver.ts';
import { hasCode, LitestreamError } from '../util/error.ts';
import { WalWriter } from './wal-writer.ts';
import { WalIndex } from '../sqlite/wal/wal-index-image.ts';
import type { WalIndexHeader } from '../sqlite/wal/wal-index-image.ts';

export interface CopyOptions {
  readonly driver: SqliteDriver;
  readonly signal?: AbortSignal | undefined;
}

/** How long to wait for a lock that somebody else holds: only checkpoints and recoveries by readers need it, briefly. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * A database that is kept up with a replica while others read it. New pages enter through its write-ahead log, under
 * SQLite's own write lock, which a connection of this process takes: to readers it is a database somebody writes to.
 */
export class FollowedDatabase {
  readonly path: string;
  readonly index: WalIndex;
  readonly #driver: SqliteDriver;
  readonly #database: DatabaseDescriptor;
  readonly #shm: DatabaseDescriptor;
  readonly #wal: number;
  /** Idle but for checkpoints. While it is open, log and index stay where they are. */
  readonly #keeper: SqliteConnection;
  #pageSize = 0;

  private constructor(
    path: string,
    driver: SqliteDriver,
    parts: { database: DatabaseDescriptor; keeper: SqliteConnection },
  ) {
    this.path = path;
    this.#driver = driver;
    this.#database = parts.database;
    this.#keeper = parts.keeper;
    const shm = keepDescriptor(`${path}-shm`, 'r+');
    if (shm === undefined) throw notWal(path, 'SQLite made no -shm file');
    this.#shm = shm;
    this.index = new WalIndex(shm.fd, `${path}-shm`);
    this.#wal = openSync(`${path}-wal`, 'r+');
    this.#look();
  }

  /** Opens an existing database; whatever a killed process left in its log or journal is recovered by SQLite first. */
  static async open(path: string, { driver, signal }: CopyOptions): Promise<FollowedDatabase> {
    await requireLastingDescriptors(path);
    const database = openDatabaseFile(path);
    if (database === undefined) throw gone(path);
    const retry = <T>(operation: string, attempt: () => T): Promise<T> =>
      retryBusy(attempt, { busyTimeoutMs: BUSY_TIMEOUT_MS, operation, path, signal });
    const keeper = openSame(database, path, () => driver.open(path));
    try {
      await retry('read', () => requireSmallSchemaOn(keeper, path, 'r+'));
      // One that upstream followed is in rollback mode: it writes pages in place.
      const mode = await retry('journal_mode', () => keeper.get('PRAGMA journal_mode = wal')?.['journal_mode']);
      if (mode !== 'wal') throw notWal(path, `its journal mode stays "${String(mode)}"`);
      keeper.get('PRAGMA wal_autocheckpoint = 0');
      // The first read opens log and index.
      await retry('read', () => keeper.get('SELECT count(*) FROM sqlite_schema'));
      refuseSecondLibrary(path, driver);
      return new FollowedDatabase(path, driver, { database, keeper });
    } catch (error) {
      if (hasCode(error, 'DRIVER_CONFLICT')) keepForGood(keeper);
      else keeper.close();
      throw error;
    }
  }

  /** Bytes. It changes with the first transaction that holds pages of another size. */
  get pageSize(): number {
    return this.#pageSize;
  }

  /** Descriptor of the database file, for reading. It must not be closed. */
  get database(): number {
    return this.#database.fd;
  }

  /** Throws `DATABASE_MISSING` if the file at the path is no longer the one that is open. */
  check(): void {
    if (!isAtPath(this.#database, this.path)) throw gone(this.path);
  }

  /** Runs `body` while nobody else can write to the database, restart its log, or recover it. */
  async locked<T>(signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    // A connection of its own each time: one that slept through a change of its pages would go on with its old ones.
    const locker = openSame(this.#database, this.path, () => this.#driver.open(this.path));
    try {
      await retryBusy(() => locker.exec('BEGIN IMMEDIATE'), {
        busyTimeoutMs: BUSY_TIMEOUT_MS,
        operation: 'follow',
        path: this.path,
        signal,
      });
      this.#look(); // another follower may have changed the page size
      return await body();
    } finally {
      // Closing ends the transaction, and with it the lock.
      locker.close();
    }
  }

  /**
   * Starts a transaction. Inside `locked`. Pages of another size than those the copy has can only begin a log: undefined
   * if it is not empty, as `emptyWal` makes it.
   */
  begin(pageSize: number): WalWriter | undefined {
    if (pageSize !== this.#pageSize && this.index.readHeader().frameCount > 0) return undefined;
    return new WalWriter(this.index, this.#wal, pageSize, fstatSync(this.#database.fd).size);
  }

  /** Has SQLite look at a transaction that was committed: does it see what was written? */
  confirm(header: WalIndexHeader): void {
    const count = this.#look();
    if (count === header.pageCount && this.#pageSize === header.pageSize) return;
    const sees = `${count} pages of ${this.#pageSize} bytes where ${header.pageCount} of ${header.pageSize} were written`;
    throw new LitestreamError(`SQLite ${this.#driver.version} sees ${sees}: ${this.path}`, {
      code: 'INTERNAL',
      operation: 'follow',
      object: this.path,
      hint: 'Please report this.',
    });
  }

  /** Has SQLite read the newest state: only then does it tell, and checkpoint by, the present page size. */
  #look(): number {
    requireSmallSchema(this.path, 'r+');
    const count = Number(this.#keeper.get('PRAGMA page_count')?.['page_count']);
    this.#pageSize = Number(this.#keeper.get('PRAGMA page_size')?.['page_size']);
    return count;
  }

  /**
   * Moves the log's pages into the database file and, once they all are and no reader uses the log, empties it. What
   * readers keep it from doing is left to the next time.
   */
  checkpoint(): void {
    try {
      this.#look();
      this.#keeper.get('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
  }

  /** Outside of `locked`. False while a reader stays with a state that is in the log. */
  emptyWal(): boolean {
    this.checkpoint();
    return this.index.readHeader().frameCount === 0;
  }

  /**
   * Closes everything. The last connection of all processes moves everything into the database file, and deletes the WAL and
   * its index.
   */
  close(): void {
    this.#keeper.close();
    closeSync(this.#wal);
    releaseDeleted(this.#shm);
    releaseDeleted(this.#database);
  }
}

function gone(path: string): LitestreamError {
  return new LitestreamError(`the copy was removed or replaced: ${path}`, {
    code: 'DATABASE_MISSING',
    operation: 'follow',
    object: path,
    hint: 'Restart to restore it from scratch.',
  });
}

function notWal(path: string, why: string): LitestreamError {
  return new LitestreamError(`the copy cannot use write-ahead logging, ${why}: ${path}`, {
    code: 'DATABASE_INVALID',
    operation: 'follow',
    object: path,
    hint: 'A copy that is followed must be writable, and on a local file system.',
  });
}
