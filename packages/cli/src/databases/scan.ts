/** Finds databases in folders, without ever opening one that is open in this process. */
import type { BigIntStats, Dirent } from 'node:fs';
import { closeSync, constants, fstatSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LitestreamError, isKnownFile } from '@litestream/core';
import type { DirectoryConfig } from '../config/types.ts';
import { compileGlob } from '../text/glob.ts';

const META_SUFFIX = '-litestream';
const MAGIC = Buffer.from('SQLite format 3\0');

/** Backup copies beside a database. */
const COPY_SUFFIX = /(\.(bak|backup|old|orig|tmp|swp)|-backup|~)$/;

/** Decides by name whether a file of the folder may be a database of this config. */
export function nameFilter({ pattern }: DirectoryConfig): (name: string) => boolean {
  const matches = compileGlob(pattern);
  // A pattern such as `*.bak` asks for copies.
  const copies = COPY_SUFFIX.test(pattern);
  return (name) =>
    matches(name) &&
    // The side files of SQLite are never databases, even if the pattern matches them.
    !/-(wal|shm|journal)$/.test(name) &&
    (copies || !COPY_SUFFIX.test(name));
}

/** A folder that holds local files of Litestream, not databases. */
export function isMetaFolder(name: string): boolean {
  return name.endsWith(META_SUFFIX);
}

/**
 * Paths of all databases that the folder holds now, in order.
 *
 * @param skipped called with each subfolder that cannot be listed
 */
export function findDatabases(
  directory: DirectoryConfig,
  skipped: (folder: string) => void = () => undefined,
): string[] {
  const isWanted = nameFilter(directory);
  const found: string[] = [];
  const visit = (folder: string): void => {
    for (const entry of listFolder(folder, directory, skipped)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (directory.recursive && !isMetaFolder(entry.name)) visit(path);
      } else if (isWanted(entry.name) && isSqliteDatabase(path)) {
        found.push(path);
      }
    }
  };
  visit(directory.path);
  return found.sort();
}

/** The entries of a folder. Throws if the folder is the one in the config and cannot be listed. */
function listFolder(folder: string, directory: DirectoryConfig, skipped: (folder: string) => void): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    // A subfolder may vanish during the scan, or deny access; the folder in the config has to be readable.
    if (folder !== directory.path) {
      if (code !== 'ENOENT') skipped(folder);
      return [];
    }
    throw new LitestreamError(`failed to scan directory ${folder}`, {
      code: code === 'EACCES' ? 'PERMISSION_DENIED' : 'CONFIG_INVALID',
      hint: 'Check the path and its permissions.',
      cause,
    });
  }
}

/** The file behind the path. Undefined if it does not exist, or if the system refuses, as for a link to itself. */
export function statsOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/**
 * Whether the file begins like a SQLite database. A file that is open in this process is known to be one and is not opened
 * again: closing it would drop the locks that SQLite holds on it (fcntl(2)).
 */
export function isSqliteDatabase(path: string): boolean {
  const stats = statsOf(path);
  if (stats === undefined || !stats.isFile()) return false;
  if (isKnownFile(stats)) return true;
  if (stats.size < MAGIC.length) return false;
  let descriptor: number;
  try {
    // If a pipe has replaced the file, the open must not wait for the other end.
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch {
    return false;
  }
  // Replaced between the two calls by a file that is open here: this descriptor must never be closed.
  if (isKnownFile(fstatSync(descriptor, { bigint: true }))) return true;
  try {
    const head = Buffer.alloc(MAGIC.length);
    return readSync(descriptor, head, 0, head.length, 0) === head.length && head.equals(MAGIC);
  } catch {
    return false;
  } finally {
    closeSync(descriptor);
  }
}
