/** Makes our folders, and refuses those in which another user could make us work on files elsewhere. */
import { closeSync, fstatSync, lstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { LitestreamError } from '../util/error.ts';
import { OPEN_FOLDER_ITSELF, own } from './safe-files.ts';
import type { Ownership } from './safe-files.ts';

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
  const fd = openSync(path, OPEN_FOLDER_ITSELF);
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

function unsafe(path: string, reason: string): LitestreamError {
  return new LitestreamError(`the folder cannot be trusted, ${reason}: ${path}`, {
    code: 'FOLDER_UNSAFE',
    operation: 'open',
    object: path,
    hint: 'Remove it, or set meta-path to a folder of your own; name the folder itself, and no link to it. Nothing in it was touched.',
  });
}
