import {
  type ErrorClass,
  LitestreamError,
  MALFORMED_ANSWER,
  classifyHttpStatus,
  classifyNetworkError,
  httpStatus,
  isLitestreamError,
  safeCause,
  unreadableAnswer,
} from '@litestream/core';

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
  // A create that finds the blob there is refused with 409, not 412.
  ...all('PRECONDITION_FAILED', undefined, ['BlobAlreadyExists', 'ConditionNotMet', 'TargetConditionNotMet']),
  ...retryable('THROTTLED', ['ServerBusy', 'TooManyRequests']),
  ...retryable('TIMEOUT', ['OperationTimedOut']),
  ...retryable('UNAVAILABLE', ['InternalError', 'ContainerBeingDeleted', 'Md5Mismatch', 'InvalidBlockList']),
};

/** What an error of Azure's SDK means: by its service code, else by what broke on the network, else by HTTP status. */
export function classifyAbsError(error: unknown): ErrorClass | undefined {
  const source = error as { code?: unknown; name?: unknown; details?: { errorCode?: unknown } } | null | undefined;
  // Emulators refuse a wrong key under the code of a missing permission.
  if (error instanceof Error && /failed to authenticate/i.test(error.message)) return BY_CODE['AuthenticationFailed'];
  for (const name of [source?.code, source?.details?.errorCode, source?.name]) {
    if (typeof name === 'string' && Object.hasOwn(BY_CODE, name)) return BY_CODE[name];
  }
  if (error instanceof Error && /not permitted for non-TLS/.test(error.message)) {
    return { code: 'CONFIG_INVALID', retryable: false, hint: 'Set account-key or sas-token, or an https endpoint.' };
  }
  // A listing whose connection breaks in the middle: the SDK keeps nothing of what broke.
  if (error instanceof Error && error.message.startsWith('Error reading response as text')) {
    return { code: 'NETWORK', retryable: true };
  }
  if (isUnreadable(error)) return MALFORMED_ANSWER;
  // Every failure to reach the server arrives as one code, with Node's own inside the message.
  if (source?.code === 'REQUEST_SEND_ERROR') return classifyNetworkError(error) ?? { code: 'NETWORK', retryable: true };
  return classifyNetworkError(error) ?? classifyHttpStatus(httpStatus(error));
}

/** What to throw for a failed operation: the signal's reason after an abort, else an error with a code and no secrets. */
export function absError(
  error: unknown,
  context: { object: string; secrets: readonly (string | undefined)[]; signal?: AbortSignal | undefined },
): unknown {
  if (context.signal?.aborted === true) return context.signal.reason;
  if (isLitestreamError(error)) return error;
  if (isUnreadable(error)) return unreadableAnswer('abs');
  const kind = classifyAbsError(error) ?? { code: 'INTERNAL', retryable: false };
  const cause = safeCause(error, context.secrets);
  // The service's message goes on for lines with request ID and time: the first one says it.
  const text = cause.message.split('\n')[0] || cause.name;
  return new LitestreamError(`abs: ${text}`, { ...kind, backend: 'abs', object: context.object, cause });
}

/** The SDK expects XML and found none. */
function isUnreadable(error: unknown): boolean {
  return error instanceof Error && /while parsing the response body/.test(error.message);
}

function all(code: ErrorClass['code'], hint: string | undefined, names: readonly string[]): Record<string, ErrorClass> {
  return Object.fromEntries(names.map((name) => [name, { code, retryable: false, hint }]));
}

function retryable(code: ErrorClass['code'], names: readonly string[]): Record<string, ErrorClass> {
  return Object.fromEntries(names.map((name) => [name, { code, retryable: true }]));
}
