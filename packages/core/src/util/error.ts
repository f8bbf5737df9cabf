/**
 * The one error type of the framework.
 *
 * Clients are installed apart from core, so two copies of this class can meet in one process: errors are recognised by
 * a brand (`isLitestreamError`), never by `instanceof`.
 */

const brand: symbol = Symbol.for('litestream.error');

/** What a program may decide on. Every code is described in `docs/reference/errors.md`, which a test holds to this list. */
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
  /** May the same call succeed if it is made again unchanged? Decided by who raises it. Default false. */
  readonly retryable?: boolean | undefined;
  /** What was being done, in the words of the API: `writeLtxFile`, `checkpoint`, … */
  readonly operation?: string | undefined;
  /** Type of the client involved: `file`, `s3`, … */
  readonly backend?: string | undefined;
  /** The thing it was done to: a path, an object key. Never a URL with credentials in it. */
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
