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

/** Error codes of the Blob service and of Azure's identity library. */
const BY_CODE: Readonly<Record<string, ErrorClass>> = {
  ...all(
    'UNAUTHORIZED',
    'Check account-name and account-key, or the SAS token and its expiry, and the clock of this machine.',
    ['AuthenticationFailed', 'InvalidAuthenticationInfo', 'NoAuthenticationInformation', 'AccountIsDisabled'],
  ),
  ...all('UNAUTHORIZED', 'No credentials were found: set account-key, sas-token, or sign in with the Azure CLI.', [
    'CredentialUnavailableError',
    'AuthenticationRequiredError',
    'AggregateAuthenticationError',
    'AuthenticationError',
  ]),
  ...all('PERMISSION_DENIED', 'The credentials lack a permission on this container.', [
    'AuthorizationFailure',
    'AuthorizationPermissionMismatch',
    'AuthorizationServiceMismatch',
    'AuthorizationResourceTypeMismatch',
    'InsufficientAccountPermissions',
  ]),
  ...all('PERMISSION_DENIED', 'A lease, an immutability policy or a legal hold protects this blob.', [
    'BlobImmutableDueToPolicy',
    'LeaseIdMissing',
    'SnapshotsPresent',
  ]),
  ...all('NOT_FOUND', undefined, ['BlobNotFound', 'ResourceNotFound']),
  ...all('BUCKET_MISSING', 'Create the container, or correct its name.', ['ContainerNotFound', 'InvalidResourceName']),
  // A create of an existing blob is refused with 409, not 412.
  ...all('PRECONDITION_FAILED', undefined, ['BlobAlreadyExists', 'ConditionNotMet', 'TargetConditionNotMet']),
  ...retryable('THROTTLED', ['ServerBusy', 'TooManyRequests']),
  ...retryable('TIMEOUT', ['OperationTimedOut']),
  ...retryable('UNAVAILABLE', ['InternalError', 'ContainerBeingDeleted', 'Md5Mismatch', 'InvalidBlockList']),
};

/** Classifies an error of Azure's SDK: by service code, else by network error, else by HTTP status. */
export function classifyAbsError(error: unknown): ErrorClass | undefined {
  const source = error as { code?: unknown; name?: unknown; details?: { errorCode?: unknown } } | null | undefined;
  // Emulators refuse a wrong key with the code of a missing permission.
  if (error instanceof Error && /failed to authenticate/i.test(error.message)) return BY_CODE['AuthenticationFailed'];
  for (const name of [source?.code, source?.details?.errorCode, source?.name]) {
    if (typeof name === 'string' && Object.hasOwn(BY_CODE, name)) return BY_CODE[name];
  }
  if (error instanceof Error && /not permitted for non-TLS/.test(error.message)) {
    return { code: 'CONFIG_INVALID', retryable: false, hint: 'Set account-key or sas-token, or an https endpoint.' };
  }
  // The connection broke during a listing: the SDK drops the cause.
  if (error instanceof Error && error.message.startsWith('Error reading response as text')) {
    return { code: 'NETWORK', retryable: true };
  }
  if (isUnreadable(error)) return MALFORMED_ANSWER;
  // Every failure to reach the server has this code, with Node's code inside the message.
  if (source?.code === 'REQUEST_SEND_ERROR') return classifyNetworkError(error) ?? { code: 'NETWORK', retryable: true };
  return classifyNetworkError(error) ?? classifyHttpStatus(httpStatus(error));
}

/** The error to throw: with a code and no secrets. */
export function absError(error: unknown, object: string, secrets: readonly (string | undefined)[]): LitestreamError {
  if (isUnreadable(error)) return unreadableAnswer('abs');
  const kind = classifyAbsError(error) ?? { code: 'INTERNAL', retryable: false };
  const cause = safeCause(error, secrets);
  // Only the first line of the service's message matters; the others hold request ID and time.
  const text = cause.message.split('\n')[0] || cause.name;
  return new LitestreamError(`abs: ${text}`, { ...kind, backend: 'abs', object, cause });
}

/** Whether the SDK expected XML and found none. */
function isUnreadable(error: unknown): boolean {
  return error instanceof Error && /while parsing the response body/.test(error.message);
}

function all(code: ErrorClass['code'], hint: string | undefined, names: readonly string[]): Record<string, ErrorClass> {
  return Object.fromEntries(names.map((name) => [name, { code, retryable: false, hint }]));
}

function retryable(code: ErrorClass['code'], names: readonly string[]): Record<string, ErrorClass> {
  return Object.fromEntries(names.map((name) => [name, { code, retryable: true }]));
}
