import { LitestreamError } from '../../util/error.ts';

export function notOpenError(path: string, operation: string): LitestreamError {
  return new LitestreamError(`database is not open: ${path}`, {
    code: 'INVALID_ARGUMENT',
    operation,
    object: path,
    hint: 'Call open() first.',
  });
}

/** The file exists, but is not opened yet; `reason` says why. */
export function notReadyError(path: string, operation: string, reason: string): LitestreamError {
  return new LitestreamError(`the database is not ready: ${reason}: ${path}`, {
    code: 'DATABASE_NOT_READY',
    retryable: true,
    operation,
    object: path,
    hint: 'Wait: Litestream opens the database once it is complete, has a table, and only SQLite writes to the file.',
  });
}

export function missingError(path: string, operation: string): LitestreamError {
  return new LitestreamError(`there is no database yet: ${path}`, {
    code: 'DATABASE_MISSING',
    retryable: true,
    operation,
    object: path,
  });
}
