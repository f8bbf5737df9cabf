/** One Litestream per database: a lock in its metadata folder (docs/decisions/0023-metadata-lock.md). */
import { closeSync, lstatSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isBusy } from '../../sqlite/driver/busy.ts';
import { nodeSqlite } from '../../sqlite/driver/node-sqlite.ts';
import type { SqliteConnection, SqliteDriver } from '../../sqlite/driver/sqlite-driver.ts';
import { createFile } from '../../files/safe-files.ts';
import { makeFolder, requireSafeFolder } from '../../files/safe-folders.ts';
import { readSmallFile, writeSmallFile } from '../../files/small-files.ts';
import { temporaryName } from '../../files/temporary-files.ts';
import type { Ownership } from '../../files/safe-files.ts';
import { ownershipAt } from '../../local-ltx/local-ltx.ts';
import { heldLocks, lockKeyOf } from '../../files/held-locks.ts';
import type { LockHolder } from '../../files/held-locks.ts';
import { DatabaseInUseError, lockFault, noLocksError } from './metadata-lock-errors.ts';

const LOCK_NAME = 'lock';
const HOLDER_NAME = 'lock-holder.json';
/** Ownership of a file that is removed at once. */
const OURS = { fileMode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

/**
 * The lock of one metadata folder. It is a write transaction on an empty SQLite database in that folder: a kernel lock,
 * which ends with the process in every case, and which both drivers support. Costs one descriptor.
 */
export class MetadataLock {
  readonly #folder: string;
  readonly #path: string;
  readonly #driver: SqliteDriver;
  #own: { readonly connection: SqliteConnection; readonly key: string } | undefined;
  #canLock = false;

  constructor(folder: string, driver: SqliteDriver) {
    this.#folder = folder;
    this.#path = join(folder, LOCK_NAME);
    this.#driver = driver;
  }

  /**
   * Takes the lock, or checks that the lock that is held still belongs to the folder. Creates the folder if necessary.
   *
   * @throws LitestreamError `DATABASE_IN_USE` (retryable) while another holds it; `UNSUPPORTED` on a file system
   *   without locks; `PERMISSION_DENIED` where the folder cannot be written to; `DISK_FULL`; `FOLDER_UNSAFE` where the
   *   folder is a link, or belongs to an unrelated user.
   */
  acquire(ownership: Ownership): void {
    if (this.#own !== undefined && keyAt(this.#path) === this.#own.key) return;
    // The folder was removed: a process that creates it again has another lock.
    this.release();
    try {
      requireSafeFolder(this.#folder, ownership);
      makeFolder(this.#folder, ownership);
      createEmpty(this.#path, ownership);
      this.#take();
    } catch (error) {
      throw lockFault(error, this.#path);
    }
    this.#writeHolder(ownership);
  }

  /** Do not use any file of the folder afterwards. */
  release(): void {
    const own = this.#own;
    if (own === undefined) return;
    this.#own = undefined;
    if (keyAt(this.#path) === own.key) rmSync(this.#holderPath, { force: true });
    own.connection.close();
    heldLocks.delete(own.key);
  }

  get #holderPath(): string {
    return join(this.#folder, HOLDER_NAME);
  }

  #take(): void {
    // The device and inode are the same by every path to the folder: links, bind mounts.
    const key = keyAt(this.#path);
    const holder = key === undefined ? undefined : heldLocks.get(key);
    if (holder !== undefined) throw new DatabaseInUseError(this.#path, holder);
    let connection: SqliteConnection;
    try {
      connection = lockFile(this.#path, this.#driver);
    } catch (error) {
      if (!isBusy(error)) throw error;
      this.#requireLocks();
      throw new DatabaseInUseError(this.#path, readHolder(this.#holderPath), error);
    }
    const opened = keyAt(this.#path);
    if (opened === undefined || opened !== key) {
      // The file was removed or replaced meanwhile: the locked file is not the lock of this folder.
      connection.close();
      throw new DatabaseInUseError(this.#path, undefined);
    }
    this.#own = { connection, key };
    heldLocks.set(key, { pid: process.pid, host: hostname(), since: new Date() });
  }

  /** SQLite says "busy" also where the file system has no locks at all: then a file of our own is busy, too. */
  #requireLocks(): void {
    if (this.#canLock) return;
    const probe = temporaryName(join(this.#folder, 'lock-probe'));
    createEmpty(probe);
    try {
      lockFile(probe, this.#driver).close();
      this.#canLock = true;
    } catch (error) {
      if (isBusy(error)) throw noLocksError(this.#folder, error);
      throw error;
    } finally {
      rmSync(probe, { force: true });
    }
  }

  /** For processes that wait for the lock. The lock does not depend on it, so a full disk is no reason to fail. */
  #writeHolder(ownership: Ownership): void {
    const holder = this.#own === undefined ? undefined : heldLocks.get(this.#own.key);
    try {
      writeSmallFile(this.#holderPath, `${JSON.stringify(holder)}\n`, ownership, { durable: false });
    } catch {
      rmSync(this.#holderPath, { force: true });
    }
  }
}

/**
 * Runs work that changes local files while no Litestream may use them. The database must exist. Rejects as `acquire`
 * throws.
 */
export async function withMetadataLock<T>(
  { path, metaPath, driver = nodeSqlite }: { path: string; metaPath: string; driver?: SqliteDriver },
  work: () => T | Promise<T>,
): Promise<T> {
  const lock = new MetadataLock(metaPath, driver);
  lock.acquire(ownershipAt(path));
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** An exclusive transaction that is never committed: the file stays empty, and there is no journal beside it. */
function lockFile(path: string, driver: SqliteDriver): SqliteConnection {
  requireEmpty(path);
  const connection = driver.open(path);
  try {
    // The smallest pages: only memory depends on them.
    connection.exec('PRAGMA page_size = 512');
    connection.get('PRAGMA journal_mode = memory');
    connection.exec('BEGIN EXCLUSIVE');
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** If a database were at this path, SQLite would read its schema, on the thread that serves all databases. */
function requireEmpty(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0) {
    throw Object.assign(new Error(`the lock is not an empty file: ${path}`), { code: 'EACCES' });
  }
}

/** Does not open an existing file, and follows no link; SQLite would do both. */
function createEmpty(path: string, ownership: Pick<Ownership, 'fileMode' | 'uid' | 'gid'> = OURS): void {
  try {
    closeSync(createFile(path, ownership));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
      throw Object.assign(new Error(`a link is in the place of the lock: ${path}`), { code: 'EACCES' });
    }
  }
}

function keyAt(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : lockKeyOf(stat);
}

/** Undefined if it has not been written yet, or is gone. */
function readHolder(path: string): LockHolder | undefined {
  try {
    const { pid, host, since } = JSON.parse(readSmallFile(path)) as Record<string, unknown>;
    if (typeof pid !== 'number' || typeof host !== 'string' || typeof since !== 'string') return undefined;
    return { pid, host, since: new Date(since) };
  } catch {
    return undefined;
  }
}
