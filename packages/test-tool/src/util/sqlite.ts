/** Opens and measures databases for all commands. */
import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { LitestreamError, loadNodeSqlite } from '@litestream/core';

/** How long a call waits for another connection's lock. A command has its thread to itself, so it may block. */
const BUSY_TIMEOUT_MS = 30_000;

/** Opens a database for reading and writing, in WAL mode. Creates a missing one only with `create`. */
export function openDatabase(
  path: string,
  { create = false, pageSize }: { create?: boolean; pageSize?: number } = {},
): DatabaseSync {
  if (!create) requireDatabase(path);
  const database = new (loadNodeSqlite().DatabaseSync)(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    if (pageSize !== undefined) database.exec(`PRAGMA page_size = ${pageSize}`);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Opens a database that other processes may write to. */
export function openReadOnly(path: string): DatabaseSync {
  requireDatabase(path);
  return new (loadNodeSqlite().DatabaseSync)(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
}

/** Opens a database that no process writes to, without creating files beside it. */
export function openImmutable(path: string): DatabaseSync {
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  return new (loadNodeSqlite().DatabaseSync)(url, { readOnly: true });
}

/** Bytes of the database and the files beside it, in the file system. */
export function diskSize(path: string): number {
  return ['', '-wal', '-shm'].reduce(
    (sum, suffix) => sum + (statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

/** A name quoted for SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Throws if no database exists at the path: opening it would create one. */
export function requireDatabase(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) return;
  throw new LitestreamError(`database does not exist: ${path}`, {
    code: 'DATABASE_MISSING',
    object: path,
    hint: 'Check the path, or create the database with: litestream-test populate -db PATH',
  });
}
