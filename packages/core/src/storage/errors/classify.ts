/**
 * Classifies an error of any SDK by its shape: the name of a condition, a Node errno, an HTTP status, an aborted
 * signal. A client that knows more classifies errors itself (`ReplicaClient.classify`, or a `LitestreamError`).
 */
import type { LitestreamErrorCode } from '../../util/error.ts';
import { isLitestreamError } from '../../util/error.ts';
import { classifyHttpStatus, classifyNetworkError, httpStatus } from './sdk-errors.ts';
import type { ErrorClass } from './sdk-errors.ts';

const permanent = (code: LitestreamErrorCode, hint?: string): ErrorClass => ({ code, retryable: false, hint });
const passing = (code: LitestreamErrorCode, hint?: string): ErrorClass => ({ code, retryable: true, hint });

const PERMISSION_HINT = 'Check that the process, or the key it uses, may read, write and delete there.';
const CREDENTIALS_HINT = 'Check the credentials of the replica.';

/** Names that object stores use for a condition in `code` or `name`. */
const CONDITIONS: Readonly<Record<string, ErrorClass>> = {
  BucketAlreadyExists: permanent('ALREADY_EXISTS'),
  ConditionalRequestConflict: passing('UNAVAILABLE'),
  ContainerNotFound: permanent('BUCKET_MISSING', 'Create the container, or correct its name.'),
  BlobNotFound: permanent('NOT_FOUND'),
  NoSuchBucket: permanent('BUCKET_MISSING', 'Create the bucket, or correct its name.'),
  NoSuchKey: permanent('NOT_FOUND'),
  NotFound: permanent('NOT_FOUND'),
  OperationAborted: passing('UNAVAILABLE'),
  PreconditionFailed: permanent('PRECONDITION_FAILED'),
  RequestLimitExceeded: passing('THROTTLED'),
  RequestTimeTooSkewed: permanent('UNAUTHORIZED', 'The clock of this machine is wrong: set it.'),
  ServerBusy: passing('THROTTLED'),
  SlowDown: passing('THROTTLED'),
  ThrottlingException: passing('THROTTLED'),
  TooManyRequests: passing('THROTTLED'),
};

const ERRNO: Readonly<Record<string, ErrorClass>> = {
  EACCES: permanent('PERMISSION_DENIED', PERMISSION_HINT),
  EAGAIN: passing('UNAVAILABLE'),
  EBUSY: passing('UNAVAILABLE'),
  EDQUOT: permanent('DISK_FULL', 'Free space, or raise the quota.'),
  EEXIST: permanent('ALREADY_EXISTS'),
  EISDIR: permanent('CONFIG_INVALID', 'A folder is in the way: the replica path must not contain one of that name.'),
  EMFILE: passing('UNAVAILABLE', 'Too many open files: raise the limit (ulimit -n).'),
  ENAMETOOLONG: permanent('INVALID_ARGUMENT'),
  ENFILE: passing('UNAVAILABLE', 'Too many open files on this machine.'),
  ENOENT: permanent('NOT_FOUND'),
  ENOSPC: permanent('DISK_FULL', 'Free space on the replica.'),
  ENOTDIR: permanent('CONFIG_INVALID', 'A part of the replica path is a file: choose another path.'),
  EPERM: permanent('PERMISSION_DENIED', PERMISSION_HINT),
  EROFS: permanent('PERMISSION_DENIED', 'The replica is on a read-only file system.'),
  ERR_MODULE_NOT_FOUND: permanent('PLUGIN_SDK_MISSING', 'Install the package that is named above.'),
  MODULE_NOT_FOUND: permanent('PLUGIN_SDK_MISSING', 'Install the package that is named above.'),
};

const NOT_OFFERED = permanent(
  'UNSUPPORTED',
  'The server does not offer this operation: check that it is a server for this type of replica.',
);

/** Statuses that deserve a hint, or that `classifyHttpStatus` leaves open. */
const STATUS: Readonly<Record<number, ErrorClass>> = {
  400: permanent('INVALID_ARGUMENT', 'The server refused the request as malformed: check endpoint and region.'),
  401: permanent('UNAUTHORIZED', CREDENTIALS_HINT),
  403: permanent('PERMISSION_DENIED', PERMISSION_HINT),
  405: NOT_OFFERED,
  409: permanent('PRECONDITION_FAILED'),
  410: permanent('NOT_FOUND'),
  501: NOT_OFFERED,
  507: permanent('DISK_FULL', 'Free space on the server, or raise the quota.'),
};

/** Never throws; returns `INTERNAL`, not retryable, for unknown errors. */
export function classifyError(error: unknown): ErrorClass {
  for (const part of causes(error)) {
    const known = classifyPart(part);
    if (known !== undefined) return known;
  }
  return classifyNetworkError(error) ?? permanent('INTERNAL');
}

function classifyPart(error: object): ErrorClass | undefined {
  if (isLitestreamError(error)) return { code: error.code, retryable: error.retryable, hint: error.hint };
  const { name, code } = error as { name?: unknown; code?: unknown };
  if (name === 'AbortError' || code === 'ABORT_ERR') return permanent('ABORTED');
  if (name === 'TimeoutError') return passing('TIMEOUT');
  const condition = lookUp(CONDITIONS, code) ?? lookUp(CONDITIONS, name) ?? lookUp(ERRNO, code);
  return condition ?? classifyStatus(httpStatus(error) ?? (typeof code === 'number' ? code : undefined));
}

function classifyStatus(status: number | undefined): ErrorClass | undefined {
  return (status === undefined ? undefined : STATUS[status]) ?? classifyHttpStatus(status);
}

function lookUp(table: Readonly<Record<string, ErrorClass>>, key: unknown): ErrorClass | undefined {
  return typeof key === 'string' && Object.hasOwn(table, key) ? table[key] : undefined;
}

/** The error and its causes, outermost first. */
function* causes(error: unknown): Generator<object> {
  let part = error;
  for (let depth = 0; depth < 6 && typeof part === 'object' && part !== null; depth++) {
    yield part;
    part = (part as { cause?: unknown }).cause;
  }
}
