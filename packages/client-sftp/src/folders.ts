import { posix } from 'node:path';

import { classifySftpError } from './errors.ts';
import type { SftpSession } from './session.ts';

/** Creates a folder and its parents. An existing folder is not an error. */
export async function makeFolder(session: SftpSession, path: string): Promise<void> {
  try {
    await session.mkdir(path);
  } catch (error) {
    const parent = posix.dirname(path);
    if (isNotFound(error) && parent !== path) {
      await makeFolder(session, parent);
      return makeFolder(session, path);
    }
    // Version 3 of the protocol has no status for "exists", only a general failure, so check.
    const found = await session.stat(path).catch(() => undefined);
    if (found?.isDirectory() !== true) throw error;
  }
}

/** Names in a folder, none if there is no such folder. */
export async function readFolder(
  session: SftpSession,
  path: string,
): Promise<{ name: string; size: number; modified: Date }[]> {
  try {
    const entries = await session.readdir(path);
    return entries.map(({ filename, attrs }) => ({
      name: filename,
      size: attrs.size,
      modified: new Date(attrs.mtime * 1000),
    }));
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

/** Removes a file. A missing file is not an error. */
export async function removeFile(session: SftpSession, path: string): Promise<void> {
  await session.unlink(path).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
}

export function isNotFound(error: unknown): boolean {
  return classifySftpError(error)?.code === 'NOT_FOUND';
}
