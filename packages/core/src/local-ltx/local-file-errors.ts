import { LitestreamError } from '../util/error.ts';
import type { LitestreamErrorCode } from '../util/error.ts';
import { sqliteResultCode } from '../sqlite/driver/busy.ts';

const SQLITE_FULL = 13;

const DENIED_HINT = 'Give the process access to the database, its -wal and -shm files and the metadata folder.';
const DISK_HINT =
  'The file system answered with an error: see the log of the system. Replication tries again by itself.';

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
    hint: 'Raise the limit of open files (ulimit -n). Replication tries again by itself.',
  },
};

const SAME: Readonly<Record<string, string>> = { EDQUOT: 'ENOSPC', EPERM: 'EACCES', ENFILE: 'EMFILE' };

/** A local file that a replica still needs is missing or damaged, and nothing may be put in its place. */
export function lostFileError(error: unknown, path: string): LitestreamError {
  return new LitestreamError(`local ltx file is missing or damaged: ${path}`, {
    code: 'LTX_CORRUPT',
    operation: 'sync',
    object: path,
    hint: "Run 'litestream reset' on the database, or set auto-recover: true, to go on with a snapshot.",
    cause: error,
  });
}

/**
 * What the file system, or SQLite on it, failed with, as an error that says where and what to do: `DISK_FULL`,
 * `PERMISSION_DENIED` or `UNAVAILABLE`. Anything else stays as it is.
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
