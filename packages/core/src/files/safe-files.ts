/**
 * The one place where core creates files and folders and gives them an owner and a mode.
 *
 * A folder beside a database belongs to the database's owner, and Litestream may be root: whatever that user puts there
 * (a link, a pipe, a file under a name that we are about to use) must not lead our rights elsewhere. So names of temporary
 * files cannot be guessed, files are made with `O_EXCL` and opened with `O_NOFOLLOW`, and owner and mode are set on the
 * descriptor of what was made, never on a path. `SECURITY.md` says what remains.
 */
import {
  closeSync,
  constants,
  createReadStream,
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
import { dirname, join } from 'node:path';
import { LitestreamError } from '../error.ts';

/** Owner and permissions of what is made beside a database: the database's own. */
export interface Ownership {
  readonly fileMode: number;
  readonly folderMode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Only links of the last part of a path are refused by it. Windows has no such flag, and no links that users can make. */
const NOFOLLOW = constants.O_NOFOLLOW ?? 0;
/** Opening a pipe must not wait for its other end. */
const NONBLOCK = constants.O_NONBLOCK ?? 0;
const DIRECTORY = constants.O_DIRECTORY ?? 0;

/** For flags of `open` in `node:fs/promises`: an existing file, and not what a link leads to. */
export const OPEN_EXISTING: { readonly read: number; readonly readWrite: number } = {
  read: constants.O_RDONLY | NOFOLLOW | NONBLOCK,
  readWrite: constants.O_RDWR | NOFOLLOW,
};
/** A new file: it fails with `EEXIST` for whatever has the name, a link too. */
export const OPEN_NEW: number = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | NOFOLLOW;

/** More than any of our small files holds, in bytes. */
const SMALL_SIZE_MAX = 64 * 1024;

/** A name in the same folder that nobody can guess. Ends in `.tmp`: opening a database removes what a crash left. */
export function temporaryName(path: string): string {
  return `${path}.${randomBytes(8).toString('hex')}.tmp`;
}

/** Makes a file that was not there, with its mode and owner, and returns its descriptor, for reading and writing. */
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

/** A new file in place of what a killed process left under this name, which is removed: no link of it is followed. */
export async function openReplacing(path: string, mode = 0o600): Promise<FileHandle> {
  await rm(path, { force: true });
  return await open(path, OPEN_NEW, mode);
}

/** The descriptor of a file that we made, for reading and writing. */
export function openFile(path: string): number {
  return openSync(path, OPEN_EXISTING.readWrite);
}

/** The bytes of a file, from its start. Iterating rejects with `ENOENT` if it is gone, with `ELOOP` if it is a link. */
export async function* readFileChunks(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const fd = openSync(path, OPEN_EXISTING.read);
  yield* createReadStream('', { fd }) as AsyncIterable<Uint8Array>;
}

/** The text of a small file of ours. Throws `EINVAL` for what is no file, or too large to be one of ours. */
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

/** Replaces a small file of ours, or makes it: all or nothing, and with `durable` it survives a power cut. */
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
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Nothing that `readSmallFile` could read: no file there, a link, or something that we have not written. */
export function isNoSmallFile(error: unknown): boolean {
  return ['ENOENT', 'EINVAL', 'ELOOP', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/**
 * Makes a folder and those above it, with this ownership where the system allows it. Throws `FOLDER_UNSAFE` where the
 * folder is a link.
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
  const fd = openSync(path, constants.O_RDONLY | DIRECTORY | NOFOLLOW);
  try {
    // Another user can have put a folder in its place, and root would give that one away.
    if (fstatSync(fd).uid !== process.geteuid?.()) throw unsafe(path, 'another user has replaced it');
    own(fd, ownership.folderMode, ownership);
  } finally {
    closeSync(fd);
  }
}

/**
 * Refuses a folder in which another user could make us work on files elsewhere: throws `FOLDER_UNSAFE` for a link, for what
 * is no folder, and for one that belongs neither to this user, nor to root, nor to the owner of the database. One that does
 * not exist is fine.
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

/** Removes what a crash left: every file below the folder whose name ends in `.tmp`. Follows no link. */
export function removeTemporaryFiles(folder: string): void {
  for (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeTemporaryFiles(path);
    else if (entry.name.endsWith('.tmp')) rmSync(path, { force: true });
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

/** Only the superuser may change an owner, and for others nothing is to change. */
function own(fd: number, mode: number, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  if (process.getuid?.() === 0) fchownSync(fd, uid, gid);
  // After the owner, which takes some bits of the mode away; and for whatever the umask says.
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
