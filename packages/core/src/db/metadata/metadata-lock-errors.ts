import { sqliteResultCode } from '../../sqlite/driver/busy.ts';
import { LitestreamError, hasCode, isLitestreamError } from '../../util/error.ts';
import type { LockHolder } from '../../files/held-locks.ts';
import { localFileError } from '../../local-ltx/local-file-errors.ts';

const SQLITE_PERM = 3;
const SQLITE_READONLY = 8;
const SQLITE_CANTOPEN = 14;

/** Another Litestream holds the lock. `holder` is undefined if it is not known (yet). */
export class DatabaseInUseError extends LitestreamError {
  readonly holder: LockHolder | undefined;

  constructor(path: string, holder: LockHolder | undefined, cause?: unknown) {
    const by =
      holder === undefined ? '' : ` (pid ${holder.pid} on ${holder.host}, since ${holder.since.toISOString()})`;
    super(`another Litestream replicates this database${by}: ${path}`, {
      code: 'DATABASE_IN_USE',
      retryable: true,
      operation: 'open',
      object: path,
      hint: 'Run one Litestream per database. This one waits, and takes over when the other one ends.',
      cause,
    });
    this.holder = holder;
  }
}

export function isInUse(error: unknown): error is DatabaseInUseError {
  return hasCode(error, 'DATABASE_IN_USE');
}

export function noLocksError(folder: string, cause: unknown): LitestreamError {
  return new LitestreamError(`the file system has no locks: ${folder}`, {
    code: 'UNSUPPORTED',
    operation: 'open',
    object: folder,
    hint: 'Set meta-path to a folder on a local disk. Without locks, two Litestream processes could change the same local files.',
    cause,
  });
}

/** Why the lock could not be taken, other than another holder, as an error that names the path and what to do. */
export function lockFault(error: unknown, path: string): unknown {
  if (isLitestreamError(error)) return error;
  const code = sqliteResultCode(error);
  if (code !== SQLITE_PERM && code !== SQLITE_READONLY && code !== SQLITE_CANTOPEN) return localFileError(error, path);
  return new LitestreamError(`cannot write to the metadata folder: ${path}`, {
    code: 'PERMISSION_DENIED',
    operation: 'open',
    object: path,
    hint: 'Give the process access to the metadata folder, or set meta-path to another one.',
    cause: error,
  });
}
