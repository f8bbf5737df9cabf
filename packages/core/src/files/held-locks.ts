/** Lock files that this process holds. None of them may be opened and closed again: that would release its lock. */

/** The Litestream that holds a lock. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  readonly since: Date;
}

/**
 * By device and inode, for all copies of this package. A process never conflicts with its own POSIX locks, and loses them
 * when it closes any other descriptor of the file (fcntl(2)).
 */
export const heldLocks: Map<string, LockHolder> = ((globalThis as Record<symbol, unknown>)[
  Symbol.for('litestream.metadata-locks')
] ??= new Map<string, LockHolder>()) as Map<string, LockHolder>;

/** Key of a file in `heldLocks`. */
export function lockKeyOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}:${ino}`;
}

/** Is this a lock file that this process holds? */
export function isHeldLock(stat: { readonly dev: bigint; readonly ino: bigint }): boolean {
  return heldLocks.has(lockKeyOf(stat));
}
