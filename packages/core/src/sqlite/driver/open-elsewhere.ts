import { readFileSync, readdirSync, statSync } from 'node:fs';

/** A process that has a file open. */
export interface OpenProcess {
  readonly pid: number;
  /** Name of its program, at most 15 characters, printable ASCII; empty if unknown. */
  readonly name: string;
}

/**
 * The process, other than this one, that has a file open; undefined if none is found. Linux only, and only processes that
 * this one may look into: those of the same user, or all for root. Locks do not show it: a connection that is idle in rollback
 * mode, or has not read yet, holds none.
 */
export function openElsewhere(path: string): OpenProcess | undefined {
  const file = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (file === undefined) return undefined;
  const found = processIds().find((pid) => pid !== process.pid && hasOpen(pid, file));
  return found === undefined ? undefined : { pid: found, name: nameOf(found) };
}

function nameOf(pid: number): string {
  try {
    // Every user may give a process any name.
    return readFileSync(`/proc/${pid}/comm`, 'latin1').replace(/[^ -~]/g, '');
  } catch {
    return '';
  }
}

function processIds(): number[] {
  return namesIn('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function hasOpen(pid: number, file: { readonly dev: bigint; readonly ino: bigint }): boolean {
  return namesIn(`/proc/${pid}/fd`).some((fd) => {
    try {
      // Follows the link to the file itself, also to one that is mounted elsewhere.
      const open = statSync(`/proc/${pid}/fd/${fd}`, { bigint: true, throwIfNoEntry: false });
      return open !== undefined && open.dev === file.dev && open.ino === file.ino;
    } catch {
      return false; // Closed meanwhile, or no permission.
    }
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Not Linux, ended meanwhile, or no permission.
  }
}
