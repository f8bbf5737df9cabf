/** Faults of a replica's files as errors that name the file. */
import { formatLtxFilename, isLtxError } from '@litestream/ltx';
import type { LtxFileRef } from '../../storage/contract/contract.ts';
import { isLitestreamError, LitestreamError } from '../../util/error.ts';
import type { LitestreamErrorCode } from '../../util/error.ts';

/** The name of a file in messages: its path under the replica's path. */
export function ltxName(file: LtxFileRef): string {
  return `ltx/${file.level}/${formatLtxFilename(file.minTxid, file.maxTxid)}`;
}

/** A file with invalid content. */
export function corrupt(name: string, what: string, cause?: unknown): LitestreamError {
  return new LitestreamError(`${name}: ${what}`, {
    code: 'LTX_CORRUPT',
    operation: 'restore',
    object: name,
    hint: 'Restore to an earlier TXID or timestamp that does not need this file.',
    cause,
  });
}

/** A file whose checksum, or the database checksum after it, is not the one that it states. */
export function checksumMismatch(name: string, what: string): LitestreamError {
  return new LitestreamError(`${name}: ${what}`, {
    code: 'CHECKSUM_MISMATCH',
    operation: 'restore',
    object: name,
    hint: 'The file was damaged after it was written. Restore to a TXID or timestamp that does not need it.',
  });
}

/** All pages are valid, but together they are another database than the one that was replicated. */
export function otherDatabase(name: string): LitestreamError {
  return new LitestreamError(
    `${name}: the restored database does not have the database checksum that this file states`,
    {
      code: 'CHECKSUM_MISMATCH',
      operation: 'restore',
      object: name,
      hint: 'Restore to an earlier TXID or timestamp. To examine this state, restore it to another path with -proof ignored.',
    },
  );
}

/** The last file states no checksum, but a proof is required. */
export function unproven(name: string): LitestreamError {
  return new LitestreamError(`${name}: the file states no checksum of the database, so this state is unproven`, {
    code: 'UNPROVEN',
    operation: 'restore',
    object: name,
    hint: 'Restore without -proof required, or to a TXID whose file states a checksum. The next snapshot of a running Litestream states one.',
  });
}

const FILE_CODES: Readonly<Record<string, LitestreamErrorCode>> = {
  ENOENT: 'NOT_FOUND',
  EACCES: 'PERMISSION_DENIED',
  EPERM: 'PERMISSION_DENIED',
  EROFS: 'PERMISSION_DENIED',
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  EEXIST: 'INVALID_ARGUMENT',
  EISDIR: 'INVALID_ARGUMENT',
  ENAMETOOLONG: 'INVALID_ARGUMENT',
  ENOTDIR: 'INVALID_ARGUMENT',
  EIO: 'UNAVAILABLE',
  EBUSY: 'UNAVAILABLE',
  EMFILE: 'UNAVAILABLE',
  ENFILE: 'UNAVAILABLE',
};

/** Turns any failure while reading or writing `name` into an error with a code. Errors that have one stay unchanged. */
export function fault(name: string, cause: unknown): unknown {
  if (isLitestreamError(cause)) return cause;
  if (isLtxError(cause)) {
    return cause.code === 'CHECKSUM_MISMATCH'
      ? checksumMismatch(name, cause.message)
      : corrupt(name, cause.message, cause);
  }
  const errno = (cause as { code?: unknown } | undefined)?.code;
  const code = typeof errno === 'string' ? FILE_CODES[errno] : undefined;
  if (code === undefined || !(cause instanceof Error)) return cause;
  return new LitestreamError(`${name}: ${cause.message}`, { code, operation: 'restore', object: name, cause });
}
