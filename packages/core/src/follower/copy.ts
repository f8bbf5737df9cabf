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

/** How long to wait for a lock of another connection: only checkpoints and recoveries by readers take one, briefly. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * A database that follows a replica while other programs read it. New pages enter through its WAL, under SQLite's own
 * write lock, which a connection of this process takes: to readers, it is a database with a writer.
 */
export class FollowedDatabase {
  readonly path: string;
  readonly index: WalIndex;
  readonly #driver: SqliteDriver;
  readonly #database: DatabaseDescriptor;
  readonly #shm: DatabaseDescriptor;
  readonly #wal: number;
  /** Idle except for checkpoints. While it is open, the WAL and the wal-index stay in place. */
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

  /** Opens an existing database; SQLite first recovers what a killed process left in its WAL or journal. */
  static async open(path: string, { driver, signal }: CopyOptions): Promise<FollowedDatabase> {
    await requireLastingDescriptors(path);
    const database = openDatabaseFile(path);
    if (database === undefined) throw gone(path);
    const retry = <T>(operation: string, attempt: () => T): Promise<T> =>
      retryBusy(attempt, { busyTimeoutMs: BUSY_TIMEOUT_MS, operation, path, signal });
    const keeper = openSame(database, path, () => driver.open(path));
    try {
      await retry('read', () => requireSmallSchemaOn(keeper, path, 'r+'));
      // A copy that Litestream (Go) followed is in rollback mode: that program writes pages in place.
      const mode = await retry('journal_mode', () => keeper.get('PRAGMA journal_mode = wal')?.['journal_mode']);
      if (mode !== 'wal') throw notWal(path, `its journal mode stays "${String(mode)}"`);
      keeper.get('PRAGMA wal_autocheckpoint = 0');
      // The first read opens the WAL and the wal-index.
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

  /** Runs `body` while no other connection can write to the database, restart its WAL, or recover it. */
  async locked<T>(signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    // A new connection each time: an idle one would not notice that its pages changed, and use the old ones.
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
   * Starts a transaction. Inside `locked`. Pages of another size than the copy's must begin a WAL: undefined if the WAL
   * is not empty; `emptyWal` empties it.
   */
  begin(pageSize: number): WalWriter | undefined {
    if (pageSize !== this.#pageSize && this.index.readHeader().frameCount > 0) return undefined;
    return new WalWriter(this.index, this.#wal, pageSize, fstatSync(this.#database.fd).size);
  }

  /** Lets SQLite read a committed transaction, and throws if it does not see what was written. */
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

  /** Lets SQLite read the newest state: only then does it report, and use for checkpoints, the current page size. */
  #look(): number {
    requireSmallSchema(this.path, 'r+');
    const count = Number(this.#keeper.get('PRAGMA page_count')?.['page_count']);
    this.#pageSize = Number(this.#keeper.get('PRAGMA page_size')?.['page_size']);
    return count;
  }

  /**
   * Moves the pages of the WAL into the database file and, once all are moved and no reader uses the WAL, empties it.
   * What readers prevent is left to the next call.
   */
  checkpoint(): void {
    try {
      this.#look();
      this.#keeper.get('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
  }

  /** Outside of `locked`. False while a reader uses a state that is in the WAL. */
  emptyWal(): boolean {
    this.checkpoint();
    return this.index.readHeader().frameCount === 0;
  }

  /**
   * Closes everything. The last connection of all processes moves everything into the database file, and deletes the
   * WAL and the wal-index.
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
    hint: 'Make the copy writable, and keep it on a local file system.',
  });
}
