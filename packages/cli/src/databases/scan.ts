/** Looking for databases in folders, without ever opening one that is open in this process. */
import type { BigIntStats, Dirent } from 'node:fs';
import { closeSync, constants, fstatSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LitestreamError, isKnownFile } from '@litestream/core';
import type { DirectoryConfig } from '../config/types.ts';
import { compileGlob } from '../text/glob.ts';

const META_SUFFIX = '-litestream';
const MAGIC = Buffer.from('SQLite format 3\0');

/** Copies that people and programs leave beside a database. */
const COPY_SUFFIX = /(\.(bak|backup|old|orig|tmp|swp)|-backup|~)$/;

/** Tells by its name whether a file of the folder may be a database of this config. */
export function nameFilter({ pattern }: DirectoryConfig): (name: string) => boolean {
  const matches = compileGlob(pattern);
  // Whoever writes `*.bak` means it.
  const copies = COPY_SUFFIX.test(pattern);
  return (name) =>
    matches(name) &&
    // SQLite's own companions of a database never are databases, whatever the pattern says.
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
 * @param skipped called with each folder below that cannot be listed
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

/** What is in a folder. Throws for the one that the config names if it cannot be listed. */
function listFolder(folder: string, directory: DirectoryConfig, skipped: (folder: string) => void): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    // A folder below may vanish while it is scanned, and its owner may close it; the one in the config has to be there.
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

/** The file that the path leads to. Undefined if there is none, or if the system refuses, as for a link that leads to itself. */
export function statsOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/**
 * Does the file begin as a SQLite database does? One that is open here is known to be one, and is not touched: closing
 * it again would drop the locks that SQLite holds on it (fcntl(2)).
 */
export function isSqliteDatabase(path: string): boolean {
  const stats = statsOf(path);
  if (stats === undefined || !stats.isFile()) return false;
  if (isKnownFile(stats)) return true;
  if (stats.size < MAGIC.length) return false;
  let descriptor: number;
  try {
    // If a pipe has taken its place, this must not wait for the other end.
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
