/**
 * The one place where core creates files and gives them an owner and a mode. `safe-folders.ts` makes folders,
 * `temporary-files.ts` names and removes temporary files, `small-files.ts` reads and writes records.
 *
 * A folder beside a database belongs to the database's owner, and Litestream may be root. Nothing that this user puts there
 * (a link, a pipe, a file under a name that we are about to use) may make root change a file elsewhere. So names of temporary
 * files cannot be guessed, files are created with `O_EXCL` and opened with `O_NOFOLLOW`, and owner and mode are set on the
 * descriptor of the new file, never on a path. `SECURITY.md` says what remains.
 */
import { closeSync, constants, createReadStream, fchmodSync, fchownSync, fstatSync, openSync, rmSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

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
/** The same, and follows no link. */
export const OPEN_FOLDER_ITSELF: number = OPEN_FOLDER | NOFOLLOW;

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

/** Gives a new file or folder its owner and mode. Only root may change an owner; files of other users are created with the right one. */
export function own(fd: number, mode: number, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  if (process.getuid?.() === 0) fchownSync(fd, uid, gid);
  // After the change of owner, which clears some bits of the mode. Sets the mode despite the umask.
  fchmodSync(fd, mode);
}
