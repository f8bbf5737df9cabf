/** Small records of ours beside a database, read and replaced as a whole. */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { createFile, OPEN_EXISTING, OPEN_FOLDER } from './safe-files.ts';
import type { Ownership } from './safe-files.ts';
import { temporaryName } from './temporary-files.ts';

/** In bytes: more than any of our small files has. */
const SMALL_SIZE_MAX = 64 * 1024;

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
