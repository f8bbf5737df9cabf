import { LitestreamError, isLitestreamError } from '@litestream/core';
import { messageWithCauses } from '../../util/describe-error.ts';

/** The error, its message with the path of the database in it. */
export function withDatabasePath(path: string, error: unknown): unknown {
  if (isLitestreamError(error) || messageWithCauses(error).includes(path)) return error;
  return new LitestreamError(`cannot replicate ${path}`, { code: 'DATABASE_INVALID', object: path, cause: error });
}
