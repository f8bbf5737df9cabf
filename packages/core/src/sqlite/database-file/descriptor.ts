import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { isMapped } from '../driver/library-conflict.ts';
import { isHeldLock } from '../../files/held-locks.ts';

/** Opening a pipe must not wait for its other end. */
const NONBLOCK = constants.O_NONBLOCK ?? 0;

/** The one descriptor of a database file in this process. */
export interface DatabaseDescriptor {
  readonly fd: number;
  readonly device: bigint;
  readonly inode: bigint;
}

/**
 * Every descriptor of a database file that was ever opened, by device and inode, for all copies of this package.
 *
 * Closing any descriptor of a file drops all POSIX locks that the process holds on it, SQLite's included (fcntl(2)): the
 * descriptor is therefore opened once and kept for the life of the process.
 */
const registry: Map<string, DatabaseDescriptor> = ((globalThis as Record<symbol, unknown>)[
  Symbol.for('litestream.descriptors')
] ??= new Map<string, DatabaseDescriptor>()) as Map<string, DatabaseDescriptor>;

/**
 * The kept descriptor of the file at this path, opened if this is the first time. Undefined if there is no file. The
 * same applies to a `-shm`, which a follower also writes to (`r+`): it has SQLite's locks of a database in WAL mode.
 */
export function keepDescriptor(path: string, flags: 'r' | 'r+' = 'r'): DatabaseDescriptor | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const known = registry.get(`${stat.dev}:${stat.ino}`);
  if (known !== undefined) return known;
  const fd = openExisting(path, flags);
  if (fd === undefined) return undefined;
  const { dev, ino } = fstatSync(fd, { bigint: true });
  const key = `${dev}:${ino}`;
  const descriptor = { fd, device: dev, inode: ino };
  // The file was replaced between the two calls by one that is registered: this descriptor must still stay open.
  if (!registry.has(key)) registry.set(key, descriptor);
  return registry.get(key) ?? descriptor;
}

function openExisting(path: string, flags: 'r' | 'r+'): number | undefined {
  try {
    return openSync(path, (flags === 'r' ? constants.O_RDONLY : constants.O_RDWR) | NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Is this file still the one at the path? */
export function isAtPath(descriptor: Pick<DatabaseDescriptor, 'device' | 'inode'>, path: string): boolean {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat !== undefined && stat.ino === descriptor.inode && stat.dev === descriptor.device;
}

/**
 * Does this process have locks on the file, as a database or as a lock file? Check this before you open a file of a
 * directory scan.
 */
export function isKnownFile(stat: { readonly dev: bigint; readonly ino: bigint }): boolean {
  return registry.has(`${stat.dev}:${stat.ino}`) || isHeldLock(stat);
}

/** Closes the descriptor of a file that no longer has a name: no locks can be lost with it. */
export function releaseDeleted(descriptor: DatabaseDescriptor): void {
  release(descriptor, () => false);
}

/**
 * The same for a `-shm`, unless a connection of this process may still use it: a `-shm` that was deleted by hand keeps the
 * locks of those that have it open.
 */
export function releaseDeletedIndex(index: DatabaseDescriptor): void {
  release(index, () => isMapped(index.inode) !== false);
}

/** Harmless for a descriptor that was closed before. */
function release(descriptor: DatabaseDescriptor, isInUse: () => boolean): void {
  const key = `${descriptor.device}:${descriptor.inode}`;
  if (registry.get(key) !== descriptor || fstatSync(descriptor.fd).nlink > 0 || isInUse()) return;
  registry.delete(key);
  closeSync(descriptor.fd);
}
