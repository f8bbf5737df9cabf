/**
 * What the bytes, the times and the locks of the file at a path say of it. The evidence, and what it is worth, is in
 * docs/decisions/0024-new-database-files.md.
 */
import { fstatSync, readSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { hasCode } from '../../util/error.ts';
import { heldLocks, isBeingWritten, isOpenInSqlite } from '../../sqlite/driver/file-locks.ts';
import type { FileLock } from '../../sqlite/driver/file-locks.ts';
import { WalIndex } from '../../sqlite/wal/wal-index-image.ts';
import type { DatabaseDescriptor } from '../../sqlite/database-file/descriptor.ts';
import { keepDescriptor, releaseDeleted, releaseDeletedIndex } from '../../sqlite/database-file/descriptor.ts';
import {
  DATABASE_HEADER_SIZE,
  hasRecovery,
  hasSchemaInWal,
  holdsFrames,
  parseDatabaseHeader,
} from '../../sqlite/database-file/database-header.ts';
import type { DatabaseHeader } from '../../sqlite/database-file/database-header.ts';
import { hasOutsideWriter } from '../../sqlite/database-file/outside-writer.ts';
import { realDatabasePath } from '../../files/real-path.ts';
import { keepDatabaseFile, requireMagic } from '../../sqlite/database-file/validate.ts';
import { isWholeBySize, isWholeWithWal } from '../../sqlite/database-file/whole-file.ts';
import type { QuietDatabase } from '../../sqlite/database-file/whole-file.ts';

/** As `DbOptions.arrivalQuietMs`, for a file whose size does not show that it is complete. */
const LONG_QUIET_MS = 30_000;

/** A file that did not change for this long has no writer: the list of what is open is not worth its price. */
const YOUNG_MS = 60_000;

export type Arrival =
  | { readonly state: 'absent' }
  | {
      readonly state: 'waiting';
      /** Continues "waiting for the database: …". */
      readonly reason: string;
      /** Time alone may end the wait, in this many milliseconds. */
      readonly quietInMs?: number;
      readonly isLocked?: boolean;
      /** No commit can be in it. */
      readonly isBlank?: boolean;
    }
  | { readonly state: 'settled'; readonly descriptor: DatabaseDescriptor };

type Waiting = Extract<Arrival, { state: 'waiting' }>;

/** Looks at the file at one path. Remembers what it saw: some evidence is a change between two looks. */
export class ArrivalEvidence {
  readonly #path: string;
  readonly #quietMs: number;
  readonly #locks: () => readonly FileLock[] | undefined;
  #file: string;
  #descriptor: DatabaseDescriptor | undefined;
  /** What the files looked like at the last look, and when that was first seen. */
  #seen: { readonly mark: string; readonly atMs: number; isWhole?: boolean } | undefined;
  /** The `-shm`, kept open: closing it would drop SQLite's locks, should this process have the database open. */
  #shm: DatabaseDescriptor | undefined;
  /** What SQLite counted at the last look. */
  #counted: CommitMarks | undefined;

  /** `quietMs`: see `DbOptions.arrivalQuietMs`. */
  constructor(path: string, quietMs: number, locks: () => readonly FileLock[] | undefined = heldLocks) {
    this.#path = path;
    this.#file = path;
    this.#quietMs = quietMs;
    this.#locks = locks;
  }

  /** The file that the path led to at the last look: the one that SQLite opens, and keeps its WAL beside. */
  get file(): string {
    return this.#file;
  }

  /** One look, which never waits. */
  look(): Arrival {
    this.close();
    this.#file = realDatabasePath(this.#path);
    const descriptor = keepDatabaseFile(this.#file, this.#path);
    this.#descriptor = descriptor;
    if (descriptor === undefined) {
      this.#seen = undefined;
      return { state: 'absent' };
    }
    const stat = fstatSync(descriptor.fd, { bigint: true });
    const quietMs = this.#observe(stat);
    if (stat.size === 0n) return blank('it is empty');
    const start = readStart(descriptor.fd);
    if (start.every((byte) => byte === 0)) return blank('it begins with zeros');
    requireMagic(descriptor, this.#file);
    const header = parseDatabaseHeader(start);
    if (header === undefined) return waiting('its header is not there yet');
    const { changeCounter, isWal, pageSize } = header;
    const counted = { inode: stat.ino, changeCounter, wal: isWal ? this.#countedInWal(pageSize) : undefined };
    const hasCommitted = this.#counted !== undefined && hasMoved(this.#counted, counted);
    this.#counted = counted;
    return this.#judge({ descriptor, stat, header, quietMs, hasCommitted }) ?? { state: 'settled', descriptor };
  }

  /** Releases descriptors of files that have no name any more. */
  close(): void {
    if (this.#descriptor !== undefined) releaseDeleted(this.#descriptor);
    if (this.#shm !== undefined) releaseDeletedIndex(this.#shm);
    this.#descriptor = undefined;
    this.#shm = undefined;
  }

  #judge(seen: Seen): Waiting | undefined {
    const { header, stat } = seen;
    // Nothing has been written for so long that no lock is worth a long list; one that is held is met at the opening.
    const locks = (seen.quietMs < YOUNG_MS ? this.#locks() : undefined) ?? [];
    const isLive = header.isWal && this.#isOpenInSqlite(locks);
    const unwhole = isLive ? undefined : this.#judgeWhole(seen);
    if (unwhole !== undefined) return unwhole;
    if (!header.hasSchema && !hasSchemaInWal(`${this.#file}-wal`)) return blank('it has no table yet');
    if (isBeingWritten(locks, stat)) return { ...waiting('another program holds a write lock on it'), isLocked: true };
    return undefined;
  }

  /** Is the file as long as it says, and does no program write it outside SQLite? */
  #judgeWhole({ descriptor, stat, header, quietMs, hasCommitted }: Seen): Waiting | undefined {
    const { pageCount, pageSize } = header;
    const size = pageCount === undefined ? undefined : BigInt(pageCount) * BigInt(pageSize);
    const isShort = size !== undefined && stat.size < size;
    if (isShort && !hasRecovery(this.#file))
      return waiting(`it is being copied: ${stat.size} of ${size} bytes are there`);
    const database = { path: this.#file, fd: descriptor.fd, header, size: stat.size };
    const isSure = isWholeBySize(database);
    // No copy moves the change counter, or the wal-index, of a file that is whole.
    if (isSure && hasCommitted) return undefined;
    if (quietMs < this.#quietMs) return notQuiet(this.#quietMs - quietMs);
    if (quietMs < LONG_QUIET_MS && !isSure && !this.#isWholeWithWal(database)) return notQuiet(LONG_QUIET_MS - quietMs);
    if (quietMs < YOUNG_MS && hasOutsideWriter(this.#file, stat))
      return waiting('a program other than SQLite has it open for writing');
    return undefined;
  }

  /** Computed once for each state of the files, since it reads the WAL to its end. */
  #isWholeWithWal(database: QuietDatabase): boolean {
    const seen = this.#seen;
    if (seen === undefined) return false;
    seen.isWhole ??= isWholeWithWal(database);
    return seen.isWhole;
  }

  /** A process that has the database open in WAL mode has brought it to that state by SQLite. */
  #isOpenInSqlite(locks: readonly FileLock[]): boolean {
    const shm = statOf(`${this.#file}-shm`);
    return shm !== undefined && shm.size > 0n && isOpenInSqlite(locks, shm);
  }

  /**
   * For how long the database and the files beside it have been as they are: by their own times, or, where those lie in
   * the future, since this was first seen. In milliseconds.
   */
  #observe(database: BigIntStats): number {
    const files = [database, statOf(`${this.#file}-wal`), statOf(`${this.#file}-journal`)];
    const mark = files.map((file) => file && `${file.ino} ${file.size} ${file.mtimeNs} ${file.ctimeNs}`).join('|');
    const nowMs = performance.now();
    if (this.#seen?.mark !== mark) this.#seen = { mark, atMs: nowMs };
    const changedAtMs = Math.max(...files.map((file) => (file === undefined ? 0 : lastChangeMs(file))));
    return Math.max(nowMs - this.#seen.atMs, Date.now() - changedAtMs);
  }

  /**
   * Which commits are visible in the wal-index; undefined unless it is whole and belongs to this WAL. It changes when SQLite
   * writes. That shows an application whose locks this process cannot see.
   */
  #countedInWal(pageSize: number): string | undefined {
    this.#shm = keepDescriptor(`${this.#file}-shm`);
    if (this.#shm === undefined || fstatSync(this.#shm.fd).size === 0) return undefined;
    try {
      const index = new WalIndex(this.#shm.fd, `${this.#file}-shm`).readHeader();
      const isOfWal = index.pageSize === pageSize && holdsFrames(`${this.#file}-wal`, index);
      return isOfWal ? `${index.changeCount} ${index.frameCount}` : undefined;
    } catch (error) {
      if (hasCode(error, 'DATABASE_INVALID')) return undefined;
      throw error;
    }
  }
}

interface Seen {
  readonly descriptor: DatabaseDescriptor;
  readonly stat: BigIntStats;
  readonly header: DatabaseHeader;
  readonly quietMs: number;
  /** SQLite counted another transaction since the last look at the same file. */
  readonly hasCommitted: boolean;
}

/** Transactions that SQLite counted in one file, by its header and by its wal-index. */
interface CommitMarks {
  readonly inode: bigint;
  readonly changeCounter: number;
  readonly wal: string | undefined;
}

function hasMoved(before: CommitMarks, now: CommitMarks): boolean {
  if (before.inode !== now.inode) return false;
  if (before.changeCounter !== now.changeCounter) return true;
  return before.wal !== undefined && now.wal !== undefined && before.wal !== now.wal;
}

function waiting(reason: string): Waiting {
  return { state: 'waiting', reason };
}

function blank(reason: string): Waiting {
  return { ...waiting(reason), isBlank: true };
}

function notQuiet(quietInMs: number): Waiting {
  return { ...waiting('it was written to a moment ago'), quietInMs };
}

function readStart(fd: number): Buffer {
  const bytes = Buffer.alloc(DATABASE_HEADER_SIZE);
  return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
}

/** A copy may keep the time of what was copied; that of the last change of the inode cannot be set. */
function lastChangeMs(file: BigIntStats): number {
  return Number(file.mtimeNs > file.ctimeNs ? file.mtimeNs : file.ctimeNs) / 1e6;
}

function statOf(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}
