/** Names of temporary files, and the removal of those that a crash has left. */
import { closeSync, existsSync, fstatSync, openSync, readdirSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import { OPEN_FOLDER_ITSELF } from './safe-files.ts';
import type { Ownership } from './safe-files.ts';

/** A name in the same folder that cannot be guessed. Ends in `.tmp`: opening a database removes such files after a crash. */
export function temporaryName(path: string): string {
  return `${path}.${randomBytes(8).toString('hex')}.tmp`;
}

/** Our folders are not nested more deeply. */
const DEPTH_MAX = 4;

/** Names of temporary files that are in use longer than one session. No opening of a database may remove them. */
const inUse = new Set<string>();

/** While `work` runs, `removeTemporaryFiles` keeps this temporary file, and files whose names begin with its name. */
export async function keepingTemporaryFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  const name = basename(path);
  inUse.add(name);
  try {
    return await work();
  } finally {
    inUse.delete(name);
  }
}

function isLeftover(name: string): boolean {
  return name.endsWith('.tmp') && ![...inUse].some((kept) => name.startsWith(kept));
}

/** Removes the leftovers of a crash: every file below the folder whose name ends in `.tmp`. Follows no link. */
export function removeTemporaryFiles(folder: string, ownership: Pick<Ownership, 'uid'>): void {
  const sweep = (at: string, depth: number): void => {
    for (const entry of entriesOf(at)) {
      const path = join(at, entry.name);
      if (!entry.isDirectory()) {
        if (isLeftover(entry.name)) rmSync(path, { force: true });
      } else if (depth < DEPTH_MAX) inFolder([path], ownership, (below) => sweep(below, depth + 1));
    }
  };
  inFolder([folder], ownership, (at) => sweep(at, 1));
}

/** Removes files with these names from a folder, given as the path of one and names of those below it. Follows no link. */
export function removeFiles(
  folder: readonly [string, ...string[]],
  ownership: Pick<Ownership, 'uid'>,
  isRemoved: (name: string) => boolean,
): void {
  inFolder(folder, ownership, (at) => {
    for (const name of namesIn(at)) if (isRemoved(name)) rmSync(join(at, name), { force: true });
  });
}

/**
 * Calls `work` with a path of the folder. On Linux, the path leads to the folder that was checked even if its name becomes that
 * of a link meanwhile. Does nothing if the folder is missing, is a link, or belongs to an unrelated user.
 */
function inFolder(
  [path, ...below]: readonly string[],
  { uid }: Pick<Ownership, 'uid'>,
  work: (at: string) => void,
): void {
  if (path === undefined) return;
  const fd = openFolder(path);
  if (fd === undefined) return;
  try {
    const owner = fstatSync(fd).uid;
    if (process.geteuid !== undefined && ![0, process.geteuid(), uid].includes(owner)) return;
    const pinned = `/proc/self/fd/${fd}`;
    const at = process.platform === 'linux' && existsSync(pinned) ? pinned : path;
    const [next, ...rest] = below;
    if (next === undefined) work(at);
    else inFolder([join(at, next), ...rest], { uid }, work);
  } finally {
    closeSync(fd);
  }
}

function openFolder(path: string): number | undefined {
  try {
    return openSync(path, OPEN_FOLDER_ITSELF);
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Names in a folder; none if it does not exist. */
export function namesIn(folder: string): string[] {
  return entriesOf(folder).map(({ name }) => name);
}

function entriesOf(folder: string): { readonly name: string; isDirectory(): boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
