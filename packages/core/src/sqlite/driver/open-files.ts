/** The files that this process has open, as Linux lists them in `/proc/self/fd`. Nothing is opened to find out. */
import { fstatSync, readdirSync, readlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** How the kernel marks the path of a file that has no name any more. */
const DELETED = ' (deleted)';

export interface OpenFiles {
  /** Descriptors of the file, the newest first. */
  readonly descriptorsOf: (inode: bigint) => readonly number[];
  /** Was a file of this path deleted that is still open? */
  readonly hasDeleted: (path: string) => boolean;
}

let reading: Promise<OpenFiles | undefined> | undefined;

/**
 * What is open at some point after the call. Undefined where the system does not list it. With many databases the list is long,
 * so it is read once for all databases that are opened at the same time.
 */
export async function listOpenFiles(): Promise<OpenFiles | undefined> {
  reading ??= nextTurn().then(() => {
    reading = undefined;
    return readOpenFiles();
  });
  return await reading;
}

/** What is open now. Takes a few microseconds for each open file of the process. */
export function readOpenFiles(): OpenFiles | undefined {
  let names: string[];
  try {
    names = readdirSync('/proc/self/fd');
  } catch {
    return undefined; // Not Linux, or /proc is not mounted.
  }
  const descriptors = new Map<bigint, number[]>();
  const deleted = new Set<string>();
  for (const name of names.reverse()) {
    try {
      const { ino } = fstatSync(Number(name), { bigint: true });
      const others = descriptors.get(ino);
      if (others === undefined) descriptors.set(ino, [Number(name)]);
      else others.push(Number(name));
      const link = readlinkSync(`/proc/self/fd/${name}`);
      if (link.endsWith(DELETED)) deleted.add(link.slice(0, -DELETED.length));
    } catch {
      // Closed meanwhile.
    }
  }
  return {
    descriptorsOf: (inode) => descriptors.get(inode) ?? [],
    hasDeleted: (path) => deleted.has(path),
  };
}
