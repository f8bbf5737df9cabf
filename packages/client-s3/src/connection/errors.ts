import {
  type ErrorClass,
  LitestreamError,
  MALFORMED_ANSWER,
  classifyHttpStatus,
  classifyNetworkError,
  httpStatus,
  safeCause,
  unreadableAnswer,
} from '@litestream/core/client';

const LOCK = /object[ -]?lock|retention|WORM/i;

const BY_NAME: Readonly<Record<string, ErrorClass>> = {
  ...all('UNAUTHORIZED', 'Check access-key-id and secret-access-key.', [
    'InvalidAccessKeyId',
    'SignatureDoesNotMatch',
    'InvalidToken',
    'InvalidClientTokenId',
    'UnrecognizedClientException',
    // Codes of s3s and, with status 404, of versitygw.
    'NotSignedUp',
    'XAdminUserNotFound',
  ]),
  ...all(
    'UNAUTHORIZED',
    'No credentials were found: set access-key-id and secret-access-key in the config, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.',
    ['CredentialsProviderError', 'TokenProviderError'],
  ),
  ...all('UNAUTHORIZED', 'The token has expired: renew the credentials.', [
    'ExpiredToken',
    'ExpiredTokenException',
    'TokenRefreshRequired',
  ]),
  // The SDK takes the server's clock from the first refusal and uses it from then on, but repeats only the refused request:
  // core retries the concurrent ones.
  ...retryable(
    'UNAUTHORIZED',
    ['RequestTimeTooSkewed', 'RequestExpired'],
    'The clocks of this machine and of the server differ: set this one.',
  ),
  ...all('PERMISSION_DENIED', 'The credentials lack a permission on this bucket or prefix.', [
    'AccessDenied',
    'AllAccessDisabled',
    'AccountProblem',
  ]),
  ...all('PERMISSION_DENIED', 'Object lock or retention protects this object.', [
    'ObjectLocked',
    'ObjectLockConfigurationNotFoundError',
  ]),
  ...all('NOT_FOUND', undefined, ['NoSuchKey', 'NotFound', 'NoSuchUpload']),
  ...all('BUCKET_MISSING', 'Create the bucket, or correct its name.', ['NoSuchBucket', 'InvalidBucketName']),
  ...all('CONFIG_INVALID', 'The bucket is in another region: set region.', [
    'PermanentRedirect',
    'TemporaryRedirect',
    'AuthorizationHeaderMalformed',
    'IllegalLocationConstraintException',
  ]),
  ...all('PRECONDITION_FAILED', undefined, ['PreconditionFailed']),
  ...all('UNSUPPORTED', 'The server does not support this kind of request.', ['NotImplemented']),
  // Codes of MinIO and Ceph: AWS itself never fills up.
  ...all('DISK_FULL', 'The server is out of space, or a quota is reached.', [
    'XMinioStorageFull',
    'XMinioAdminBucketQuotaExceeded',
    'QuotaExceeded',
  ]),
  ...retryable('THROTTLED', [
    'SlowDown',
    'Throttling',
    'ThrottlingException',
    'TooManyRequests',
    'TooManyRequestsException',
    'RequestLimitExceeded',
  ]),
  ...retryable('TIMEOUT', ['RequestTimeout', 'RequestCanceled', 'TimeoutError']),
  ...retryable('UNAVAILABLE', [
    'ConditionalRequestConflict',
    'InternalError',
    'ServiceUnavailable',
    'OperationAborted',
    'BadDigest',
    'IncompleteBody',
  ]),
};

/** Classifies an error of the AWS SDK: by S3 error code, else by network error, else by HTTP status. */
export function classifyS3Error(error: unknown): ErrorClass | undefined {
  const source = error as { name?: unknown; Code?: unknown; code?: unknown } | null | undefined;
  for (const name of [source?.Code, source?.name, source?.code]) {
    if (typeof name !== 'string' || !Object.hasOwn(BY_NAME, name)) continue;
    const { message } = source as { message?: unknown };
    // Servers use "access denied" for locked objects, too; only the message differs.
    const locked = name === 'AccessDenied' && typeof message === 'string' && LOCK.test(message);
    return BY_NAME[locked ? 'ObjectLocked' : name];
  }
  const status = httpStatus(error) ?? refusalStatus(error);
  if (isUnreadable(error)) return MALFORMED_ANSWER;
  if (status !== undefined && status >= 300 && status < 400) return BY_NAME['PermanentRedirect'];
  return classifyNetworkError(error) ?? classifyHttpStatus(status);
}

/** The error to throw: with a code and no secrets. */
export function s3Error(error: unknown, object: string, secrets: readonly (string | undefined)[]): LitestreamError {
  if (isUnreadable(error)) return unreadableAnswer('s3');
  const found = classifyS3Error(error) ?? { code: 'INTERNAL', retryable: false };
  const cause = safeCause(error, secrets);
  // The SDK repeats the name where the server sends no message.
  const text = cause.message === cause.name ? cause.name : `${cause.name}: ${cause.message}`;
  return new LitestreamError(`s3: ${text}`, { ...found, backend: 's3', object, cause });
}

/** The status of a refusal that the SDK cannot parse, because it is not from the service. */
function refusalStatus(error: unknown): number | undefined {
  const { statusCode } = (error as { $response?: { statusCode?: unknown } } | null)?.$response ?? {};
  return typeof statusCode === 'number' && statusCode >= 300 ? statusCode : undefined;
}

/** Whether the SDK expected XML and found none. */
function isUnreadable(error: unknown): boolean {
  return (
    error instanceof Error &&
    refusalStatus(error) === undefined &&
    /XML parse error|Deserialization error/.test(error.message)
  );
}

function all(code: ErrorClass['code'], hint: string | undefined, names: readonly string[]): Record<string, ErrorClass> {
  return Object.fromEntries(names.map((name) => [name, { code, retryable: false, hint }]));
}

function retryable(code: ErrorClass['code'], names: readonly string[], hint?: string): Record<string, ErrorClass> {
  return Object.fromEntries(names.map((name) => [name, { code, retryable: true, hint }]));
}
