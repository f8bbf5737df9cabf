import { fstatSync, readSync, statSync } from 'node:fs';
import { LitestreamError, isLitestreamError } from '../../util/error.ts';
import { foreignLink } from '../../files/path-trust.ts';
import type { DatabaseDescriptor } from './descriptor.ts';
import { DATABASE_MAGIC } from './database-header.ts';
import { isAtPath, keepDescriptor } from './descriptor.ts';

/**
 * The kept descriptor of the database at this path, after a look at its first bytes; undefined if there is no file. An
 * empty file is an empty database, as for SQLite.
 *
 * Throws `DATABASE_INVALID` for anything else that is no SQLite database and `PERMISSION_DENIED` for one that cannot be
 * read.
 */
export function openDatabaseFile(path: string): DatabaseDescriptor | undefined {
  const descriptor = keepDatabaseFile(path);
  if (descriptor !== undefined && fstatSync(descriptor.fd).size > 0) requireMagic(descriptor, path);
  return descriptor;
}

/** Throws `DATABASE_INVALID` unless the file begins as a SQLite database does. */
export function requireMagic({ fd }: DatabaseDescriptor, path: string): void {
  const start = Buffer.alloc(DATABASE_MAGIC.length);
  const count = readSync(fd, start, 0, start.length, 0);
  if (count === start.length && start.equals(DATABASE_MAGIC)) return;
  throw new LitestreamError(`not a SQLite database: ${path}`, {
    code: 'DATABASE_INVALID',
    operation: 'open',
    object: path,
    hint: 'The file does not begin with "SQLite format 3". An encrypted database cannot be replicated as it is.',
  });
}

/**
 * The same for any file content. Throws `DATABASE_INVALID` if it is not a file, or if the given path leads there
 * through a link of another user.
 */
export function keepDatabaseFile(path: string, given: string = path): DatabaseDescriptor | undefined {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    // Before it is opened: opening a pipe would wait for its other end.
    if (!stat.isFile()) throw notAFile(path, stat.isDirectory() ? 'a directory' : 'not a regular file');
    refuseForeignLink(given);
    const descriptor = keepDescriptor(path);
    // A link may have replaced the file before it was opened.
    if (descriptor !== undefined && isAtPath(descriptor, path)) refuseForeignLink(given);
    return descriptor;
  } catch (error) {
    throw isLitestreamError(error) ? error : openError(path, error);
  }
}

function refuseForeignLink(path: string): void {
  const link = foreignLink(path);
  if (link !== undefined) throw foreignLinkError(path, link);
}

function notAFile(path: string, what: string): LitestreamError {
  return new LitestreamError(`not a database, but ${what}: ${path}`, {
    code: 'DATABASE_INVALID',
    operation: 'open',
    object: path,
    hint: 'Give the path of the database file; to replicate every database of a folder, use `dir` in the config.',
  });
}

function foreignLinkError(path: string, link: string): LitestreamError {
  return new LitestreamError(`the link of another user leads to this database: ${link}`, {
    code: 'DATABASE_INVALID',
    operation: 'open',
    object: path,
    hint: 'Give the path of the database file itself.',
  });
}

/** A `LitestreamError` for an error of the operating system when a database was opened. */
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
