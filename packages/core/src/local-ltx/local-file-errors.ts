import { LitestreamError } from '../util/error.ts';
import type { LitestreamErrorCode } from '../util/error.ts';
import { sqliteResultCode } from '../sqlite/driver/busy.ts';

const SQLITE_FULL = 13;

const DENIED_HINT = 'Give the process access to the database, its -wal and -shm files and the metadata folder.';
const DISK_HINT = 'The file system returned an error: check the system log. Litestream retries by itself.';

const CODES: Readonly<
  Record<string, { readonly code: LitestreamErrorCode; readonly what: string; readonly hint: string }>
> = {
  ENOSPC: {
    code: 'DISK_FULL',
    what: 'no space left to write to',
    hint: 'Free some space; replication continues by itself.',
  },
  EACCES: { code: 'PERMISSION_DENIED', what: 'no permission for local files', hint: DENIED_HINT },
  EROFS: { code: 'PERMISSION_DENIED', what: 'read-only file system', hint: DENIED_HINT },
  EIO: { code: 'UNAVAILABLE', what: 'input or output failed', hint: DISK_HINT },
  EMFILE: {
    code: 'UNAVAILABLE',
    what: 'too many open files',
    hint: 'Raise the limit of open files (ulimit -n). Litestream retries by itself.',
  },
};

const SAME: Readonly<Record<string, string>> = { EDQUOT: 'ENOSPC', EPERM: 'EACCES', ENFILE: 'EMFILE' };

/**
 * A local file that a replica still needs is missing or damaged, and without `auto-recover` it must not be replaced.
 */
export function lostFileError(error: unknown, path: string): LitestreamError {
  return new LitestreamError(`local ltx file is missing or damaged: ${path}`, {
    code: 'LTX_CORRUPT',
    operation: 'sync',
    object: path,
    hint: "Run 'litestream reset' on the database, or set auto-recover: true, to continue with a snapshot.",
    cause: error,
  });
}

/**
 * Turns a failure of the file system, or of SQLite on it, into an error that names the path and what to do:
 * `DISK_FULL`, `PERMISSION_DENIED` or `UNAVAILABLE`. Returns other errors unchanged.
 */
export function localFileError(error: unknown, path: string): unknown {
  const errno = (error as { code?: unknown } | null)?.code;
  const name = sqliteResultCode(error) === SQLITE_FULL ? 'ENOSPC' : typeof errno === 'string' ? errno : '';
  const known = CODES[SAME[name] ?? name];
  if (known === undefined || !(error instanceof Error)) return error;
  return new LitestreamError(`${known.what}: ${path}`, {
    code: known.code,
    retryable: known.code !== 'PERMISSION_DENIED',
    operation: 'sync',
    object: path,
    hint: known.hint,
    cause: error,
  });
}
