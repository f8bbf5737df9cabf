/** Databases of a `dir:` entry: found by pattern, each with its own path below the replica's path. */
import { lstatSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, posix, relative, sep } from 'node:path';
import { LitestreamError, realDatabasePath } from '@litestream/core';
import type { DatabaseConfig, DirectoryConfig, ReplicaConfig } from '../config/types.ts';
import { findDatabases, isMetaFolder, nameFilter } from './scan.ts';

export type SingleDatabase = DatabaseConfig & { readonly path: string };
export type WatchedDirectory = DatabaseConfig & { readonly directory: DirectoryConfig };

/** The database of a `path` entry, or those that a `dir` holds now. Calls `skipped` for each subfolder that it cannot list. */
export function databasesOf(database: DatabaseConfig, skipped?: (folder: string) => void): SingleDatabase[] {
  const { path, directory } = database;
  if (path !== undefined) return [{ ...database, path }];
  if (directory === undefined) return [];
  const found = findDatabases(directory, skipped).map((each) => entryOf({ ...database, directory }, each));
  if (found.length === 0 && !directory.watch) {
    throw new LitestreamError(
      `no SQLite databases found in directory ${directory.path} with pattern ${directory.pattern}`,
      { code: 'DATABASE_MISSING', hint: 'Check dir, pattern and recursive, or set watch: true to wait for databases.' },
    );
  }
  return found;
}

/**
 * All databases of a config, each file once. An entry with `path` takes precedence over a `dir` that holds the same file; within
 * a `dir`, a file takes precedence over links to it.
 */
export function allDatabasesOf(
  databases: readonly DatabaseConfig[],
  skipped?: (folder: string) => void,
): SingleDatabase[] {
  const all = databases.map((database) => ({
    isNamed: database.directory === undefined,
    found: databasesOf(database, skipped),
  }));
  const named = all.flatMap(({ isNamed, found }) => (isNamed ? found : []));
  const seen = new Set(named.map(({ path }) => realDatabasePath(path)));
  const held = all.flatMap(({ isNamed, found }) => (isNamed ? [] : found));
  const files = new Set(held.flatMap(({ path }) => (isLink(path) ? [] : realDatabasePath(path))));
  return all.flatMap(({ isNamed, found }) =>
    found.filter(({ path }) => {
      if (isNamed) return true;
      const file = realDatabasePath(path);
      if (seen.has(file) || (isLink(path) && files.has(file))) return false;
      seen.add(file);
      return true;
    }),
  );
}

export function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

/**
 * The config of the database at this path, found by name alone: a deleted database still belongs to its `dir`. A `path`
 * entry takes precedence over a `dir`.
 */
export function databaseOf(databases: readonly DatabaseConfig[], path: string): SingleDatabase | undefined {
  const named = databases.find((database) => database.path === path);
  if (named !== undefined) return { ...named, path };
  for (const database of databases) {
    const { directory } = database;
    if (directory !== undefined && mayHold(directory, path)) return entryOf({ ...database, directory }, path);
  }
  return undefined;
}

/** Whether a scan of the folder would find a database at this path. */
function mayHold(directory: DirectoryConfig, path: string): boolean {
  const below = relative(directory.path, path);
  if (below === '' || isAbsolute(below)) return false;
  const folders = below.split(sep);
  const name = folders.pop() ?? '';
  if (folders[0] === '..' || name === '..') return false;
  if (folders.length > 0 && !directory.recursive) return false;
  return !folders.some(isMetaFolder) && nameFilter(directory)(name);
}

/** The config of one database that was found in a folder. */
export function entryOf(database: WatchedDirectory, path: string): SingleDatabase {
  const { directory } = database;
  const below = relative(directory.path, path);
  return {
    ...database,
    path,
    directory: undefined,
    metaPath: metaPathOf(database, directory, below),
    replicas: database.replicas.map((replica) => replicaBelow(replica, below.split(sep).join('/'))),
  };
}

/** `meta-dir/<relative path>-litestream`, or `meta-path/<relative folder>/.<name>-litestream`, as in Litestream (Go). */
function metaPathOf(database: DatabaseConfig, directory: DirectoryConfig, below: string): string | undefined {
  if (directory.metaDir !== undefined) return join(directory.metaDir, `${below}-litestream`);
  if (database.metaPath === undefined) return undefined;
  return join(database.metaPath, dirname(below), `.${basename(below)}-litestream`);
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
