/** Gives a finished file its name if that is free, and never replaces another file. */
import { link, rename, rm, stat } from 'node:fs/promises';

import { isErrno } from './file-durability.ts';
import { withFileLock } from './file-lock.ts';

/** Errors of a file system without hard links. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL'];

/**
 * False if the name is taken; `temp` stays then. A link is the only atomic "create" with content. On a file system
 * without links, a lock among our own processes replaces it.
 */
export async function createName(temp: string, path: string): Promise<boolean> {
  try {
    await link(temp, path);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    if (!NO_LINKS.some((code) => isErrno(error, code))) throw error;
    return await createLocked(temp, path);
  }
  await rm(temp, { force: true });
  return true;
}

async function createLocked(temp: string, path: string): Promise<boolean> {
  return await withFileLock(path, async (check) => {
    if (await exists(path)) return false;
    await check();
    await rename(temp, path);
    return true;
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
