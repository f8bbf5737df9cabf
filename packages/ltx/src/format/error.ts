/**
 * The error type of this package. It does not depend on `@litestream/core`, which wraps it.
 *
 * Recognised by a brand (`isLtxError`), never by `instanceof`: one process may have two copies of this package.
 */

const brand: symbol = Symbol.for('litestream.ltx-error');

/** Error codes for programs. Alphabetical. */
export const LTX_ERROR_CODES = [
  /** A header field is out of range or contradicts another. */
  'BAD_HEADER',
  /** A page index that is malformed or does not describe the pages before it. */
  'BAD_INDEX',
  /** A page frame is malformed, out of order, out of range or does not decompress to one page. */
  'BAD_PAGE',
  /** A trailer's database checksum is missing, malformed or wrong. */
  'BAD_TRAILER',
  /** A transaction number that is not 16 hexadecimal digits. */
  'BAD_TXID',
  /** The file checksum does not match the content. */
  'CHECKSUM_MISMATCH',
  /** The caller passed an invalid argument. */
  'INVALID_ARGUMENT',
  /** Input files of a merge are not contiguous, or differ in page size. */
  'NOT_CONTIGUOUS',
  /** The first four bytes are not `LTX1`. */
  'NOT_LTX',
  /** Bytes follow the trailer. */
  'TRAILING_DATA',
  /** The file ends too early. */
  'TRUNCATED',
  /** A method was called in the wrong order. */
  'WRONG_STATE',
] as const;

export type LtxErrorCode = (typeof LTX_ERROR_CODES)[number];

/** An invalid file, or an invalid call. */
export class LtxError extends Error {
  override readonly name = 'LtxError';
  readonly code: LtxErrorCode;
  /** Name of the file, if the caller passed one. */
  readonly file?: string;
  /** Byte offset in the file at which the fault was detected, if there is one. */
  readonly offset?: number;

  constructor(
    code: LtxErrorCode,
    message: string,
    options: { file?: string | undefined; offset?: number | undefined; cause?: unknown } = {},
  ) {
    const place = options.offset === undefined ? '' : ` (at byte ${options.offset})`;
    const prefix = options.file === undefined ? '' : `${options.file}: `;
    super(prefix + message + place, options.cause === undefined ? undefined : { cause: options.cause });
    Object.defineProperty(this, brand, { value: true });
    this.code = code;
    if (options.file !== undefined) this.file = options.file;
    if (options.offset !== undefined) this.offset = options.offset;
  }
}

/** True for an `LtxError` of any copy of this package. */
export function isLtxError(error: unknown): error is LtxError {
  return typeof error === 'object' && error !== null && brand in error;
}
