import {
  type ErrorClass,
  LitestreamError,
  type StoreCall,
  classifyHttpStatus,
  classifyNetworkError,
  safeCause,
} from '@litestream/core/client';

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

/** The error to throw: with a code and no secrets. */
export function gcsError(error: unknown, { request, object }: StoreCall): LitestreamError {
  const found = classifyGcsError(error) ?? permanent('INTERNAL');
  // These requests do not name an object that has to exist.
  const isBucket = found.code === 'NOT_FOUND' && (request === 'list' || request === 'put');
  const kind = isBucket ? permanent('BUCKET_MISSING', BUCKET_HINT) : found;
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
