import { LitestreamError } from '../error.ts';

export function notOpenError(path: string, operation: string): LitestreamError {
  return new LitestreamError(`database is not open: ${path}`, {
    code: 'INVALID_ARGUMENT',
    operation,
    object: path,
    hint: 'Call open() first.',
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
