/** Databases of a `dir:` entry: found by pattern, each with its own place below the replica's path. */
import type { Dirent } from 'node:fs';
import { closeSync, openSync, readSync, readdirSync } from 'node:fs';
import { basename, dirname, join, posix, relative, sep } from 'node:path';
import { LitestreamError } from '@litestream/core';
import type { DatabaseConfig, DirectoryConfig, ReplicaConfig } from '../config/types.ts';
import { compileGlob } from '../text/glob.ts';

export type SingleDatabase = DatabaseConfig & { readonly path: string };

const META_SUFFIX = '-litestream';
const MAGIC = Buffer.from('SQLite format 3\0');

/** A single database as it is, or those that a folder holds now. Call this before any of them is open here. */
export function databasesOf(database: DatabaseConfig): SingleDatabase[] {
  const { path, directory } = database;
  if (path !== undefined) return [{ ...database, path }];
  if (directory === undefined) return [];
  const found = findDatabases(directory).map((each) => entryOf(database, directory, each));
  if (found.length === 0 && !directory.watch) {
    throw new LitestreamError(
      `no SQLite databases found in directory ${directory.path} with pattern ${directory.pattern}`,
      { code: 'DATABASE_MISSING', hint: 'Check dir, pattern and recursive, or set watch: true to wait for databases.' },
    );
  }
  return found;
}

function findDatabases(directory: DirectoryConfig): string[] {
  const matches = compileGlob(directory.pattern);
  const found: string[] = [];
  const visit = (folder: string): void => {
    for (const entry of listFolder(folder, directory)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (directory.recursive && !entry.name.endsWith(META_SUFFIX)) visit(path);
      } else if (matches(entry.name) && !isSidecar(entry.name) && isSqliteDatabase(path)) {
        found.push(path);
      }
    }
  };
  visit(directory.path);
  return found.sort();
}

function listFolder(folder: string, directory: DirectoryConfig): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    // A folder below may vanish while it is scanned; the one in the config has to be there.
    if (code === 'ENOENT' && folder !== directory.path) return [];
    throw new LitestreamError(`failed to scan directory ${folder}`, {
      code: code === 'EACCES' ? 'PERMISSION_DENIED' : 'CONFIG_INVALID',
      hint: 'Check the path and its permissions.',
      cause,
    });
  }
}

/** SQLite's own companions of a database never are databases, whatever the pattern says. */
function isSidecar(name: string): boolean {
  return /-(wal|shm|journal)$/.test(name);
}

/** Reads the first bytes. Never call this on a database that is open in this process: closing drops its locks. */
export function isSqliteDatabase(path: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'EACCES' || code === 'ENXIO') return false;
    throw error;
  }
  try {
    const head = Buffer.alloc(MAGIC.length);
    return readSync(descriptor, head, 0, head.length, 0) === head.length && head.equals(MAGIC);
  } finally {
    closeSync(descriptor);
  }
}

function entryOf(database: DatabaseConfig, directory: DirectoryConfig, path: string): SingleDatabase {
  const below = relative(directory.path, path);
  return {
    ...database,
    path,
    directory: undefined,
    metaPath: metaPathOf(database, directory, below),
    replicas: database.replicas.map((replica) => replicaBelow(replica, below.split(sep).join('/'))),
  };
}

/** `meta-dir/<relative path>-litestream`, or `meta-path/<relative folder>/.<name>-litestream`, as upstream names them. */
function metaPathOf(database: DatabaseConfig, directory: DirectoryConfig, below: string): string | undefined {
  if (directory.metaDir !== undefined) return join(directory.metaDir, below + META_SUFFIX);
  if (database.metaPath === undefined) return undefined;
  return join(database.metaPath, dirname(below), `.${basename(below)}${META_SUFFIX}`);
}

/** The replica of one database of a folder: its path, or its URL's, with the relative path at the end. */
export function replicaBelow(replica: ReplicaConfig, below: string): ReplicaConfig {
  if (replica.url === undefined) {
    return { ...replica, path: replica.path === undefined ? below : posix.join(replica.path, below) };
  }
  const [, base = '', query = ''] = /^([^?#]*)(.*)$/s.exec(replica.url) ?? [];
  return {
    ...replica,
    url: `${base.replace(/\/+$/, '')}/${encodeURI(below).replaceAll(/[?#]/g, encodeURIComponent)}${query}`,
  };
}
