/**
 * The one error type of the framework.
 *
 * Clients are installed separately from core, so one process may have two copies of this class: errors are recognised
 * by a brand (`isLitestreamError`), never by `instanceof`.
 */

const brand: symbol = Symbol.for('litestream.error');

/** Codes for programs to act on. `docs/reference/errors.md` describes every code; a test compares the two lists. */
export const ERROR_CODES = [
  'ABORTED',
  'ALREADY_EXISTS',
  'BUCKET_MISSING',
  'CHECKSUM_MISMATCH',
  'CONFIG_INVALID',
  'DATABASE_BUSY',
  'DATABASE_CHANGED',
  'DATABASE_INVALID',
  'DATABASE_IN_USE',
  'DATABASE_MISSING',
  'DATABASE_NOT_READY',
  'DISK_FULL',
  'DRIVER_CONFLICT',
  'FOLDER_UNSAFE',
  'INTERNAL',
  'INVALID_ARGUMENT',
  'LEASE_HELD',
  'LEASE_LOST',
  'LOCKS_LOST',
  'LTX_CORRUPT',
  'NETWORK',
  'NODE_TOO_OLD',
  'NOT_FOUND',
  'OBJECT_CHANGED',
  'OUTPUT_EXISTS',
  'PERMISSION_DENIED',
  'PLUGIN_CONFLICT',
  'PLUGIN_INCOMPATIBLE',
  'PLUGIN_INVALID',
  'PLUGIN_MISSING',
  'PLUGIN_SDK_MISSING',
  'PRECONDITION_FAILED',
  'PROMOTION_REFUSED',
  'REPLICA_AHEAD',
  'REPLICA_CONFLICT',
  'REPLICA_EMPTY',
  'REPLICA_GAP',
  'SCHEMA_TOO_LARGE',
  'THROTTLED',
  'TIMEOUT',
  'TIMESTAMP_OUT_OF_RANGE',
  'TXID_OUT_OF_RANGE',
  'UNAUTHORIZED',
  'UNAVAILABLE',
  'UNPROVEN',
  'UNSUPPORTED',
  'WAL_LOST',
] as const;

export type LitestreamErrorCode = (typeof ERROR_CODES)[number];

/** Everything known about a failure: what happened, to what, why, and what to do next. */
export interface LitestreamErrorOptions {
  readonly code: LitestreamErrorCode;
  /** May the same call succeed if it is repeated unchanged? The code that throws the error decides. Default false. */
  readonly retryable?: boolean | undefined;
  /** The operation, in the terms of the API: `writeLtxFile`, `checkpoint`, … */
  readonly operation?: string | undefined;
  /** Type of the client involved: `file`, `s3`, … */
  readonly backend?: string | undefined;
  /** The object of the operation: a path, an object key. Never a URL with credentials. */
  readonly object?: string | undefined;
  /** The next step for the user, as a sentence. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

export class LitestreamError extends Error {
  override readonly name = 'LitestreamError';
  readonly code: LitestreamErrorCode;
  readonly retryable: boolean;
  readonly operation: string | undefined;
  readonly backend: string | undefined;
  readonly object: string | undefined;
  readonly hint: string | undefined;

  constructor(message: string, options: LitestreamErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    Object.defineProperty(this, brand, { value: true });
    this.code = options.code;
    this.retryable = options.retryable ?? false;
    this.operation = options.operation;
    this.backend = options.backend;
    this.object = options.object;
    this.hint = options.hint;
  }
}

/** True for a `LitestreamError` of any copy of this package. */
export function isLitestreamError(error: unknown): error is LitestreamError {
  return typeof error === 'object' && error !== null && brand in error;
}

/** True for a `LitestreamError` with this code. */
export function hasCode(error: unknown, code: LitestreamErrorCode): error is LitestreamError {
  return isLitestreamError(error) && error.code === code;
}
