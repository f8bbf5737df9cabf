import { LitestreamError } from '../error.ts';
import { sqliteResultCode } from '../driver/busy.ts';

const SQLITE_FULL = 13;

/** The same error, or `DISK_FULL` if that is what it means: the file system or its quota has no room left. */
export function diskFullOr(error: unknown, path: string): unknown {
  const code = (error as { code?: unknown } | null)?.code;
  if (code !== 'ENOSPC' && code !== 'EDQUOT' && sqliteResultCode(error) !== SQLITE_FULL) return error;
  return new LitestreamError(`no space left to write to: ${path}`, {
    code: 'DISK_FULL',
    retryable: true,
    operation: 'sync',
    object: path,
    hint: 'Free some space; replication goes on by itself.',
    cause: error,
  });
}
