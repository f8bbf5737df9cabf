/**
 * POSIX locks as Linux lists them in `/proc/locks`, of all processes it shows: SQLite's locks are among them. A lock that
 * this process should hold and that is not listed was dropped: by `close()` of any descriptor of the file, say of another
 * copy of SQLite, or of a program that reads the file (fcntl(2)).
 */
import { readFileSync } from 'node:fs';

/** First of the bytes on which a connection holds a shared lock of the database file while it is in use. */
export const SHARED_LOCK_OFFSET = 0x40000002;
/** The byte of the `-shm` on which every process that maps it holds a shared lock ("dead man switch"). */
export const SHM_LOCK_OFFSET = 128;

export interface PosixLock {
  readonly pid: number;
  readonly isWrite: boolean;
  readonly inode: bigint;
  /** First byte. */
  readonly start: number;
  /** Last byte; infinity for the end of the file. */
  readonly end: number;
}

/** Undefined where locks are not listed: other systems, and sandboxes that hide them. */
export function readPosixLocks(): readonly PosixLock[] | undefined {
  let text: string;
  try {
    text = readFileSync('/proc/locks', 'latin1');
  } catch {
    return undefined;
  }
  return parsePosixLocks(text);
}

export function parsePosixLocks(text: string): readonly PosixLock[] {
  const locks: PosixLock[] = [];
  for (const line of text.split('\n')) {
    // Lines with "->" are of processes that wait. The device is left out: overlay file systems show another one here.
    const match = /^\d+: POSIX +\S+ +(READ|WRITE) +(-?\d+) +\S+:\S+:(\d+) +(\d+) +(\d+|EOF)/.exec(line);
    if (match === null) continue;
    const [, type, pid, inode, start, end] = match;
    locks.push({
      pid: Number(pid),
      isWrite: type === 'WRITE',
      inode: BigInt(inode ?? 0),
      start: Number(start),
      end: end === 'EOF' ? Number.POSITIVE_INFINITY : Number(end),
    });
  }
  return locks;
}

/** Does a process hold a lock of the file that covers the byte? */
export function holdsLock(
  locks: readonly PosixLock[],
  { pid, inode, offset }: { readonly pid: number; readonly inode: bigint; readonly offset: number },
): boolean {
  return locks.some((lock) => lock.pid === pid && lock.inode === inode && lock.start <= offset && offset <= lock.end);
}

/** Does another process hold any lock of the file? */
export function othersHoldLock(locks: readonly PosixLock[], inode: bigint): boolean {
  return locks.some((lock) => lock.pid !== process.pid && lock.inode === inode);
}
