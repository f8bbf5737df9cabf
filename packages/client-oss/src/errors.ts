import { LitestreamError, classifyHttpStatus, classifyNetworkError, safeCause } from '@litestream/core/client';
import type { ErrorClass, LitestreamErrorCode } from '@litestream/core/client';

const CERTIFICATE = 'Check the TLS certificate of the endpoint. If a private authority signed it, set SSL_CERT_FILE.';
const KEYS = 'Check access-key-id and secret-access-key.';

/** By error code of the service (OSS reference, error responses). */
const CODES: Readonly<Record<string, ErrorClass>> = {
  AccessForbidden: permanent('PERMISSION_DENIED', 'Let the key list, read, write and delete in the bucket.'),
  AccessDenied: permanent('PERMISSION_DENIED', 'Let the key list, read, write and delete in the bucket.'),
  FileAlreadyExists: permanent('PRECONDITION_FAILED'),
  FileImmutable: permanent('PERMISSION_DENIED', 'A retention policy (WORM) protects the object.'),
  InvalidAccessKeyId: permanent('UNAUTHORIZED', KEYS),
  InvalidBucketName: permanent('CONFIG_INVALID', 'Correct the name of the bucket.'),
  InvalidSecurityToken: permanent('UNAUTHORIZED', 'Check session-token; it belongs to temporary credentials.'),
  NoSuchBucket: permanent('BUCKET_MISSING', 'Create the bucket, or correct its name and region.'),
  NoSuchKey: permanent('NOT_FOUND'),
  OperationNotSupported: permanent('UNSUPPORTED'),
  QpsLimitExceeded: { code: 'THROTTLED', retryable: true },
  RequestTimeTooSkewed: permanent('UNAUTHORIZED', 'The clock of this machine is wrong: set it.'),
  PermanentRedirect: permanent('CONFIG_INVALID', 'The bucket is elsewhere: correct region, or endpoint.'),
  SlowDown: { code: 'THROTTLED', retryable: true },
  SecurityTokenExpired: permanent('UNAUTHORIZED', 'The temporary credentials have expired: get new ones.'),
  SignatureDoesNotMatch: permanent('UNAUTHORIZED', `${KEYS} The region is part of the signature.`),
  UserDisable: permanent('PERMISSION_DENIED', 'The account is suspended, perhaps for an unpaid bill.'),
};

/** Node's codes, which the SDK leaves only in the message: `connect ECONNREFUSED 127.0.0.1:80, GET …`. */
const ERRNO = /\b(E[A-Z]{4,}|CERT_[A-Z_]+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_[A-Z_]+|UNABLE_TO_[A-Z_]+)\b/;

/** Classifies an error of the OSS SDK. `undefined` if it is unknown. */
export function classifyOssError(error: unknown): ErrorClass | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, name, status, message } = error as Error & { code?: unknown; status?: unknown };
  if (/must be addressed using the specified endpoint|invalid signing region/i.test(message)) {
    return permanent('CONFIG_INVALID', 'The bucket is in another region: correct region, or endpoint.');
  }
  if (/bucket must be conform/i.test(message)) return CODES['InvalidBucketName'];
  if (typeof code === 'string' && Object.hasOwn(CODES, code)) return CODES[code];
  if (status === -2 || /Timeout(Error)?$/.test(name)) return { code: 'TIMEOUT', retryable: true };
  const errno = ERRNO.exec(message)?.[1];
  const network = classifyNetworkError(errno === undefined ? error : { code: errno, message });
  if (network !== undefined) return network;
  if (status === -1 && /certificate/i.test(message)) return permanent('NETWORK', CERTIFICATE);
  if (status === -1) return { code: 'NETWORK', retryable: true };
  return classifyHttpStatus(typeof status === 'number' ? status : undefined);
}

/** The error to throw: classified, and without the request that the SDK attached. From an unknown error, only secrets are removed. */
export function ossError(error: unknown, object: string | undefined, secrets: readonly (string | undefined)[]): Error {
  const found = classifyOssError(error);
  const cause = safeCause(error, secrets);
  if (found === undefined) return cause;
  return new LitestreamError(`oss: ${cause.message}`, { ...found, backend: 'oss', object, cause });
}

function permanent(code: LitestreamErrorCode, hint?: string): ErrorClass {
  return { code, retryable: false, hint };
}
