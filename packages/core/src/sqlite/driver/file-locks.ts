/** POSIX locks of SQLite, as Linux lists them. Opens no file of the database, and touches no lock. */
import { readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Where SQLite's PENDING, RESERVED and SHARED locks are in a database file (os.h, `PENDING_BYTE`). */
const PENDING_BYTE = 0x4000_0000;
/** First byte of the lock that each connection holds, shared, while it reads; in WAL mode as long as it is open. */
export const SHARED_START: number = PENDING_BYTE + 2;
const SHARED_END = SHARED_START + 510;

/** Held, shared, on the `-shm` by each process that has a database open in WAL mode (os_unix.c, `UNIX_SHM_DMS`). */
export const DEAD_MAN_SWITCH = 128;

export interface FileLock {
  readonly kind: 'READ' | 'WRITE';
  /** -1 for a lock of an open file description. */
  readonly pid: number;
  /** `major:minor`, hexadecimal. */
  readonly device: string;
  readonly inode: bigint;
  /** First byte. */
  readonly start: number;
  /** Last byte; infinite for a lock up to the end of the file. */
  readonly end: number;
}

/** A file as `stat` with `bigint` gives it. */
export interface FileKey {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** With many databases the list is long: calls within this time share one list. */
const AGE_MS_MAX = 20;

let listed: { readonly locks: readonly FileLock[] | undefined; readonly atMs: number } | undefined;

/**
 * The locks that visible processes hold, at most a few milliseconds old. Undefined if the system does not list them.
 */
export function heldLocks(): readonly FileLock[] | undefined {
  const nowMs = performance.now();
  if (listed === undefined || nowMs - listed.atMs > AGE_MS_MAX) listed = { locks: readLocks(), atMs: nowMs };
  return listed.locks;
}

/** The locks that are held now. */
function readLocks(): readonly FileLock[] | undefined {
  try {
    return parseLocks(readFileSync('/proc/locks', 'latin1'));
  } catch {
    return undefined; // Not Linux, or /proc is not mounted.
  }
}

/** The lines of `/proc/locks` that are POSIX locks held, without those that wait (`->`). */
export function parseLocks(text: string): FileLock[] {
  return text.split('\n').flatMap((line) => parseLock(line) ?? []);
}

/** A line of `/proc/locks`; undefined if it is not a held POSIX lock. */
export function parseLock(line: string): FileLock | undefined {
  const [, kind, pid, device, inode, start, end] =
    /^\d+: (?:POSIX|OFDLCK)\s+\S+\s+(READ|WRITE)\s+(-?\d+) ([0-9a-f]+:[0-9a-f]+):(\d+) (\d+) (\d+|EOF)$/.exec(line) ??
    [];
  if (device === undefined) return undefined;
  return {
    kind: kind as FileLock['kind'],
    pid: Number(pid),
    device,
    inode: BigInt(inode ?? 0),
    start: Number(start),
    end: end === 'EOF' ? Number.POSITIVE_INFINITY : Number(end),
  };
}

/**
 * Does the lock include this byte? Linux merges adjacent locks of the same kind that a process holds, so a lock may begin before
 * the byte that it was taken for: read mark 4 of a `-shm` is the byte before the dead-man switch.
 */
export function includesByte({ start, end }: FileLock, byte: number): boolean {
  return start <= byte && byte <= end;
}

/**
 * Is a transaction being written to this database file in rollback mode, or is it locked exclusively? Compares only the
 * inode, since some file systems list another device: a false positive only causes a short delay.
 */
export function isBeingWritten(locks: readonly FileLock[], database: FileKey): boolean {
  return locks.some(
    ({ kind, inode, start, end }) =>
      kind === 'WRITE' && inode === database.ino && start < SHARED_END && end >= PENDING_BYTE,
  );
}

/** Does SQLite have this `-shm` open? False proves nothing: not every process is visible to this one. */
export function isOpenInSqlite(locks: readonly FileLock[], shm: FileKey): boolean {
  const device = deviceText(shm.dev);
  return locks.some((lock) => lock.inode === shm.ino && lock.device === device && includesByte(lock, DEAD_MAN_SWITCH));
}

let reading: Promise<readonly FileLock[] | undefined> | undefined;

/**
 * Does another process hold a lock on the file at some point after the call? False where the system does not tell. The list is
 * read once for all who ask at the same time.
 */
export async function isLockedElsewhere(inode: bigint): Promise<boolean> {
  reading ??= nextTurn().then(() => {
    reading = undefined;
    return readLocks();
  });
  return ((await reading) ?? []).some((lock) => lock.inode === inode && lock.pid !== process.pid);
}

/** The device number as the kernel prints it. */
function deviceText(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn);
  return `${major.toString(16).padStart(2, '0')}:${minor.toString(16).padStart(2, '0')}`;
}
