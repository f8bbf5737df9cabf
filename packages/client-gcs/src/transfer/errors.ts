import {
  type ErrorClass,
  LitestreamError,
  classifyHttpStatus,
  classifyNetworkError,
  hasCode,
  isLitestreamError,
  safeCause,
} from '@litestream/core';

const BUCKET_HINT = 'Create the bucket, or correct its name.';

/** Classes of the JSON API's reasons and of the auth library's errors. */
const PATTERNS: readonly (readonly [RegExp, ErrorClass])[] = [
  [/bucket does not exist|notFound.*bucket|bucket.*not found/i, permanent('BUCKET_MISSING', BUCKET_HINT)],
  [
    /Could not load the default credentials|Unable to read the credential file|Unable to detect a Project Id/i,
    permanent('UNAUTHORIZED', 'Set GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login'),
  ],
  [
    /invalid_grant|invalid_client|invalid_rapt|Invalid JWT/i,
    permanent('UNAUTHORIZED', 'The credentials are revoked or expired, or the clock of this machine is wrong.'),
  ],
  [
    /retention policy|temporary hold|event-based hold|object lock/i,
    permanent('PERMISSION_DENIED', 'A retention policy or a hold protects this object.'),
  ],
];

/** Classifies an error of Google's SDK. */
export function classifyGcsError(error: unknown): ErrorClass | undefined {
  const message = error instanceof Error ? error.message : String(error);
  const found = PATTERNS.find(([pattern]) => pattern.test(message));
  if (found !== undefined) return found[1];
  const status = statusOf(error);
  if (status === 401) return permanent('UNAUTHORIZED', 'Check the credentials of the replica.');
  if (status === 403)
    return permanent('PERMISSION_DENIED', 'The account needs storage.objects.* permissions on this bucket.');
  return classifyNetworkError(error) ?? classifyHttpStatus(status);
}

/** The same for a request that names no object: NOT_FOUND means the bucket. */
export function gcsBucketError(error: unknown, object: string, signal?: AbortSignal): unknown {
  const kind = gcsError(error, object, signal);
  if (!hasCode(kind, 'NOT_FOUND')) return kind;
  const missing = permanent('BUCKET_MISSING', BUCKET_HINT);
  return new LitestreamError(kind.message, { ...missing, backend: 'gs', object, cause: kind.cause });
}

/** The error to throw for a failed operation: the reason of an aborted signal, else an error with a code and no secrets. */
export function gcsError(error: unknown, object: string, signal?: AbortSignal): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (isLitestreamError(error)) return error;
  const kind = classifyGcsError(error) ?? permanent('INTERNAL');
  const cause = safeCause(error);
  return new LitestreamError(`gs: ${cause.message}`, { ...kind, backend: 'gs', object, cause });
}

/** The SDK puts the HTTP status into `code`, as a number or as text. */
export function statusOf(error: unknown): number | undefined {
  const { code, status, response } = (error ?? {}) as {
    code?: unknown;
    status?: unknown;
    response?: { status?: unknown };
  };
  const found = [code, status, response?.status].map(Number).find((value) => value >= 100 && value < 600);
  return found;
}

function permanent(code: ErrorClass['code'], hint?: string): ErrorClass {
  return { code, retryable: false, hint };
}
