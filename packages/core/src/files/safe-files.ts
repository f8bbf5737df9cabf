/**
 * The one place where core creates files and folders and gives them an owner and a mode.
 *
 * A folder beside a database belongs to the database's owner, and Litestream may be root. Nothing that this user puts there
 * (a link, a pipe, a file under a name that we are about to use) may make root change a file elsewhere. So names of temporary
 * files cannot be guessed, files are created with `O_EXCL` and opened with `O_NOFOLLOW`, and owner and mode are set on the
 * descriptor of the new file, never on a path. `SECURITY.md` says what remains.
 */
import {
  closeSync,
  constants,
  createReadStream,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { LitestreamError } from '../util/error.ts';

/** Owner and permissions of files that are made beside a database: those of the database. */
export interface Ownership {
  readonly fileMode: number;
  readonly folderMode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Refuses only a link in the last part of a path. Windows has no such flag; links need a privilege there. */
const NOFOLLOW = constants.O_NOFOLLOW ?? 0;
/** Opening a pipe must not wait for its other end. */
const NONBLOCK = constants.O_NONBLOCK ?? 0;
const DIRECTORY = constants.O_DIRECTORY ?? 0;

/**
 * Flags that open an existing file, and follow no link. A pipe in the place of the file cannot block this process: opening
 * and reading it do not wait, and a read at a position fails.
 */
export const OPEN_EXISTING: { readonly read: number; readonly readWrite: number } = {
  read: constants.O_RDONLY | NOFOLLOW | NONBLOCK,
  readWrite: constants.O_RDWR | NOFOLLOW,
};
/** Creates a file: `open` fails with `EEXIST` if the name exists, even as a link. */
export const OPEN_NEW: number = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | NOFOLLOW;

/** Flags that open a folder, to make the names in it durable. Anything else, also a named pipe, fails at once with `ENOTDIR`. */
export const OPEN_FOLDER: number = constants.O_RDONLY | DIRECTORY;

/** In bytes: more than any of our small files has. */
const SMALL_SIZE_MAX = 64 * 1024;

/** A name in the same folder that cannot be guessed. Ends in `.tmp`: opening a database removes such files after a crash. */
export function temporaryName(path: string): string {
  return `${path}.${randomBytes(8).toString('hex')}.tmp`;
}

/** Creates a file with its mode and owner, and returns its descriptor, for reading and writing. */
export function createFile(path: string, ownership: Pick<Ownership, 'fileMode' | 'uid' | 'gid'>): number {
  const fd = openSync(path, OPEN_NEW, 0o600);
  try {
    own(fd, ownership.fileMode, ownership);
    return fd;
  } catch (error) {
    closeSync(fd);
    rmSync(path, { force: true });
    throw error;
  }
}

/** Removes what a killed process left under this name, without following a link, and creates the file. */
export async function openReplacing(path: string, mode = 0o600): Promise<FileHandle> {
  await rm(path, { force: true });
  return await open(path, OPEN_NEW, mode);
}

/** The descriptor of a file that we made, for reading and writing. */
export function openFile(path: string): number {
  return openSync(path, OPEN_EXISTING.readWrite);
}

/**
 * May the opened file be changed in place? It must be one that `createFile` made: it has no other name, which may be in another
 * folder, and it has the owner that `createFile` gave it.
 */
export function isOwnFile(fd: number, { uid }: Pick<Ownership, 'uid'>): boolean {
  const stats = fstatSync(fd);
  const own = process.geteuid?.();
  return stats.isFile() && stats.nlink === 1 && (own === undefined || stats.uid === (own === 0 ? uid : own));
}

/** The bytes of a file, from its start. Iterating rejects with `ENOENT` if it is gone, with `ELOOP` if it is a link. */
export async function* readFileChunks(
  path: string,
  options: { readonly highWaterMark?: number } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const fd = openSync(path, OPEN_EXISTING.read);
  yield* createReadStream('', { ...options, fd }) as AsyncIterable<Uint8Array>;
}

/** The text of a small file of ours. Throws `EINVAL` if it is not a regular file, or too large to be ours. */
export function readSmallFile(path: string): string {
  const fd = openSync(path, OPEN_EXISTING.read);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile() || stats.size > SMALL_SIZE_MAX) {
      throw Object.assign(new Error(`not a file of Litestream: ${path}`), { code: 'EINVAL' });
    }
    const bytes = Buffer.alloc(stats.size);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

/** Creates or replaces a small file of ours, atomically. With `durable` it survives a power cut. */
export function writeSmallFile(
  path: string,
  text: string,
  ownership: Ownership,
  { durable }: { readonly durable: boolean },
): void {
  const temporaryPath = temporaryName(path);
  try {
    const fd = createFile(temporaryPath, ownership);
    try {
      writeSync(fd, text);
      if (durable) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporaryPath, path);
    if (durable) syncFolder(dirname(path));
  } catch (error) {
    rmSync(temporaryPath, { force: true });
    throw error;
  }
}

/** Makes names in a folder survive a power cut. */
function syncFolder(path: string): void {
  const fd = openSync(path, OPEN_FOLDER);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Did `readSmallFile` find no file of ours: none at all, a link, or something that we did not write? */
export function isNoSmallFile(error: unknown): boolean {
  return ['ENOENT', 'EINVAL', 'ELOOP', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/**
 * Creates a folder and its parents, with this ownership where the system allows it. Throws `FOLDER_UNSAFE` if the folder is
 * a link.
 */
export function makeFolder(path: string, ownership: Ownership): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isSymbolicLink() === true) throw unsafe(path, 'it is a link');
  if (stats !== undefined) return;
  if (statSync(dirname(path), { throwIfNoEntry: false }) === undefined) makeFolder(dirname(path), ownership);
  try {
    // Private until it has its owner.
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process was faster; what is there was looked at, or is when it is used.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw error;
  }
  if (process.getuid === undefined) return;
  const fd = openSync(path, OPEN_FOLDER | NOFOLLOW);
  try {
    // Another user may have put a folder in its place, and root would change the owner of that one.
    if (fstatSync(fd).uid !== process.geteuid?.()) throw unsafe(path, 'another user has replaced it');
    own(fd, ownership.folderMode, ownership);
  } finally {
    closeSync(fd);
  }
}

/**
 * Refuses a folder in which another user could make us work on files elsewhere. Throws `FOLDER_UNSAFE` for a link, for a path
 * that is no folder, and for a folder that belongs neither to this user, nor to root, nor to the owner of the database. A
 * missing folder is accepted.
 */
export function requireSafeFolder(path: string, { uid }: Pick<Ownership, 'uid'>): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (stats.isSymbolicLink()) throw unsafe(path, 'it is a link');
  if (!stats.isDirectory()) throw unsafe(path, 'it is not a folder');
  const owners = [0, process.geteuid?.() ?? stats.uid, uid];
  if (process.geteuid !== undefined && !owners.includes(stats.uid)) {
    throw unsafe(path, `it belongs to the user ${stats.uid}, who owns neither the database nor this process`);
  }
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
    return openSync(path, constants.O_RDONLY | DIRECTORY | NOFOLLOW);
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

/** Only root may change an owner; files of other users are created with the right one. */
function own(fd: number, mode: number, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  if (process.getuid?.() === 0) fchownSync(fd, uid, gid);
  // After the change of owner, which clears some bits of the mode. Sets the mode despite the umask.
  fchmodSync(fd, mode);
}

function unsafe(path: string, reason: string): LitestreamError {
  return new LitestreamError(`the folder cannot be trusted, ${reason}: ${path}`, {
    code: 'FOLDER_UNSAFE',
    operation: 'open',
    object: path,
    hint: 'Remove it, or set meta-path to a folder of your own; name the folder itself, and no link to it. Nothing in it was touched.',
  });
}
