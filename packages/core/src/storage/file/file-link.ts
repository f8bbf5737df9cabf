import { link, stat } from 'node:fs/promises';

import type { Body } from '../contract/contract.ts';
import { isErrno } from './file-durability.ts';
import type { Ownership } from './file-durability.ts';

/** Errors of a file system without hard links, or across file systems. */
const NO_LINKS = ['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'ENOENT'];

/**
 * Links a body that is a local file instead of copying its bytes. False if that is not possible, or if the file has
 * another owner or mode than files of the replica: then it must be copied.
 */
export async function linkBody({ path, size }: Body, to: string, ownership: Ownership): Promise<boolean> {
  if (path === undefined) return false;
  try {
    const stats = await stat(path);
    const { fileMode, uid = stats.uid, gid = stats.gid } = ownership;
    if ((stats.mode & 0o777) !== fileMode || stats.uid !== uid || stats.gid !== gid || stats.size !== size)
      return false;
    await link(path, to);
    return true;
  } catch (error) {
    if (NO_LINKS.some((code) => isErrno(error, code))) return false;
    throw error;
  }
}
