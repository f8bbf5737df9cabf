import { LitestreamError, isLitestreamError } from '@litestream/core';
import { messageWithCauses } from '../../util/describe-error.ts';

/** Returns the error if its message contains the path of the database, otherwise an error that adds the path. */
export function withDatabasePath(path: string, error: unknown): unknown {
  if (isLitestreamError(error) || messageWithCauses(error).includes(path)) return error;
  return new LitestreamError(`cannot replicate ${path}`, { code: 'DATABASE_INVALID', object: path, cause: error });
}
