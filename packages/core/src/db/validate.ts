import { fstatSync, readSync, statSync } from 'node:fs';
import { LitestreamError, isLitestreamError } from '../error.ts';
import type { DatabaseDescriptor } from './descriptor.ts';
import { keepDescriptor } from './descriptor.ts';

const MAGIC = Buffer.from('SQLite format 3\0', 'latin1');

/**
 * The kept descriptor of the database at this path, after a look at its first bytes; undefined if there is no file.
 *
 * An empty file is an empty database: SQLite makes it one as soon as it is opened in WAL mode. Throws
 * `DATABASE_INVALID` for anything else that is no SQLite database and `PERMISSION_DENIED` for one that cannot be read.
 */
export function openDatabaseFile(path: string): DatabaseDescriptor | undefined {
  let descriptor: DatabaseDescriptor | undefined;
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    // Before it is opened: opening a pipe would wait for its other end.
    if (!stat.isFile()) throw notAFile(path, stat.isDirectory() ? 'a directory' : 'not a regular file');
    descriptor = keepDescriptor(path);
  } catch (error) {
    throw isLitestreamError(error) ? error : openError(path, error);
  }
  if (descriptor === undefined) return undefined;
  const stat = fstatSync(descriptor.fd);
  if (stat.size === 0) return descriptor;
  const start = Buffer.alloc(MAGIC.length);
  const count = readSync(descriptor.fd, start, 0, MAGIC.length, 0);
  if (count === MAGIC.length && start.equals(MAGIC)) return descriptor;
  throw new LitestreamError(`not a SQLite database: ${path}`, {
    code: 'DATABASE_INVALID',
    operation: 'open',
    object: path,
    hint: 'The file does not begin with "SQLite format 3". An encrypted database cannot be replicated as it is.',
  });
}

function notAFile(path: string, what: string): LitestreamError {
  return new LitestreamError(`is ${what}, no database: ${path}`, {
    code: 'DATABASE_INVALID',
    operation: 'open',
    object: path,
    hint: 'Give the path of the database file; to replicate every database of a folder, use `dir` in the config.',
  });
}

/** A `LitestreamError` for what the operating system said when a database was opened. */
function openError(path: string, error: unknown): LitestreamError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EACCES' || code === 'EPERM') {
    return new LitestreamError(`no permission to read the database: ${path}`, {
      code: 'PERMISSION_DENIED',
      operation: 'open',
      object: path,
      hint: 'Run as the user that owns the database, or give this user read and write permission on it and its folder.',
      cause: error,
    });
  }
  return new LitestreamError(`cannot open the database: ${path}`, {
    code: 'DATABASE_INVALID',
    operation: 'open',
    object: path,
    cause: error,
  });
}
