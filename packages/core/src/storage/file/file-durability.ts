/** Makes files and folders durable, with the owner of the database that they belong to. */
import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OPEN_FOLDER } from '../../files/safe-files.ts';

/** Mode and owner for new files and folders. */
export interface Ownership {
  readonly fileMode: number;
  readonly folderMode: number;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly folderUid?: number | undefined;
  readonly folderGid?: number | undefined;
}

export const PRIVATE: Ownership = { fileMode: 0o600, folderMode: 0o700 };

/**
 * Mode and owner of a database and of its folder. Only calls `stat`: opening the database would endanger SQLite's
 * locks.
 */
export async function ownershipOf(databasePath: string | undefined): Promise<Ownership> {
  if (databasePath === undefined) return PRIVATE;
  const file = await statIfThere(databasePath);
  const folder = await statIfThere(dirname(databasePath));
  return {
    fileMode: file === undefined ? PRIVATE.fileMode : file.mode & 0o777,
    folderMode: folder === undefined ? PRIVATE.folderMode : folder.mode & 0o777,
    uid: file?.uid,
    gid: file?.gid,
    folderUid: folder?.uid,
    folderGid: folder?.gid,
  };
}

export async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Folders that contain new folders whose names may not be durable yet, each with a mark of the newest one. */
const newNames = new Map<string, symbol>();

/** Creates the missing folders of a path. The new names are durable once `syncFolders` has resolved. */
export async function makeFolder(path: string, ownership: Ownership): Promise<void> {
  if ((await statIfThere(path))?.isDirectory() === true) return;
  const parent = dirname(path);
  if (parent !== path) await makeFolder(parent, ownership);
  // Before it exists: a writer that finds it must make its name durable before it relies on it.
  newNames.set(parent, Symbol(path));
  try {
    await mkdir(path, { mode: ownership.folderMode });
  } catch (error) {
    // Another writer was faster. If it is not a folder, the next step fails with its own error.
    if (isErrno(error, 'EEXIST')) return;
    throw error;
  }
  newNames.set(parent, Symbol(path));
  await giveTo((uid, gid) => chownFolder(path, uid, gid), ownership.folderUid, ownership.folderGid);
}

/** Uses a descriptor, and changes only our own folder: another user may have replaced it. */
async function chownFolder(path: string, uid: number, gid: number): Promise<void> {
  await using folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  if ((await folder.stat()).uid === process.geteuid?.()) await folder.chown(uid, gid);
}

/** Makes the names in a folder durable, and those of new folders above it. */
export async function syncFolders(path: string): Promise<void> {
  const folders = [path];
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (newNames.has(folder)) folders.push(folder);
    if (folder === dirname(folder)) break;
  }
  await Promise.all(
    folders.map(async (folder) => {
      const mark = newNames.get(folder);
      await syncFolder(folder);
      if (newNames.get(folder) === mark) newNames.delete(folder);
    }),
  );
}

/** Gives an open file to the owner of the database. */
export async function adoptFile(file: FileHandle, ownership: Ownership): Promise<void> {
  await giveTo((uid, gid) => file.chown(uid, gid), ownership.uid, ownership.gid);
}

/** Only root may give files away; for other users the files stay their own, as with Litestream (Go). */
async function giveTo(
  give: (uid: number, gid: number) => Promise<void>,
  uid: number | undefined,
  gid: number | undefined,
): Promise<void> {
  if (uid === undefined || gid === undefined) return;
  if (uid === process.getuid?.() && gid === process.getgid?.()) return;
  try {
    await give(uid, gid);
  } catch (error) {
    if (!isErrno(error, 'EPERM') && !isErrno(error, 'EINVAL') && !isErrno(error, 'ENOTSUP')) throw error;
  }
}

interface FolderSync {
  readonly running: Promise<void>;
  /** The sync for callers that came while this one was running, which may have missed their changes. */
  next?: Promise<void>;
}

const folderSyncs = new Map<string, FolderSync>();

/** Makes creations, renames and deletions in a folder durable. Concurrent callers share the work. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return; // folders cannot be opened there; renames are journalled
  const current = folderSyncs.get(path);
  if (current === undefined) {
    await beginSync(path);
    return;
  }
  const begin = (): Promise<void> => beginSync(path);
  current.next ??= current.running.then(begin, begin);
  await current.next;
}

function beginSync(path: string): Promise<void> {
  const sync: FolderSync = { running: syncNow(path) };
  folderSyncs.set(path, sync);
  const end = (): void => {
    if (sync.next === undefined) folderSyncs.delete(path);
  };
  sync.running.then(end, end);
  return sync.running;
}

async function syncNow(path: string): Promise<void> {
  const folder = await open(path, OPEN_FOLDER);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}
