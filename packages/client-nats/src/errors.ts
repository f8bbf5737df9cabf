import { LitestreamError, classifyNetworkError, safeCause } from '@litestream/core/client';
import type { ErrorClass, LitestreamErrorCode } from '@litestream/core/client';

const JETSTREAM = 'Start the server with JetStream (-js), and let the account use it.';
const LOGIN = 'Check username and password, token, creds, or jwt and seed, and whether they have expired.';
const BUCKET = 'Create the object store first: nats object add BUCKET';
const NO_TLS = 'The server offers no TLS: leave out tls, root-cas and client-cert, or turn TLS on in the server.';
const PEM = 'Check root-cas, client-cert and client-key: PEM files, and a key that belongs to the certificate.';
const AUTHORITY = 'Put the certificate of the authority that signed the server’s into root-cas.';

/** By the name of the SDK's error class: most of its errors have no code. */
const NAMES: Readonly<Record<string, ErrorClass>> = {
  AuthorizationError: permanent('UNAUTHORIZED', LOGIN),
  ClosedConnectionError: { code: 'NETWORK', retryable: true },
  ConnectionError: { code: 'NETWORK', retryable: true },
  DrainingConnectionError: { code: 'NETWORK', retryable: true },
  JetStreamNotEnabled: permanent('UNSUPPORTED', JETSTREAM),
  NoResponders: permanent('UNSUPPORTED', JETSTREAM),
  PermissionViolationError: permanent('PERMISSION_DENIED', 'Let the user publish and subscribe to $JS.API and $O.'),
  StreamNotFoundError: permanent('BUCKET_MISSING', BUCKET),
  TimeoutError: { code: 'TIMEOUT', retryable: true },
  UserAuthenticationExpiredError: permanent('UNAUTHORIZED', 'The user’s JWT has expired: get a new one.'),
};

/** Codes of the JetStream API (nats-server, server/errors.json). */
const API_CODES: Readonly<Record<number, ErrorClass>> = {
  10002: permanent('DISK_FULL', 'The account is out of storage.'),
  // The server restarted and lost the consumer.
  10014: { code: 'NETWORK', retryable: true },
  10028: permanent('DISK_FULL', 'The account is out of storage.'),
  10037: permanent('NOT_FOUND'),
  10039: permanent('UNSUPPORTED', JETSTREAM),
  10047: permanent('DISK_FULL', 'The server is out of JetStream storage.'),
  10054: permanent('INVALID_ARGUMENT', 'The object store limits the size of messages.'),
  10059: permanent('BUCKET_MISSING', BUCKET),
  10071: permanent('PRECONDITION_FAILED'),
  10076: permanent('UNSUPPORTED', JETSTREAM),
  10077: permanent('DISK_FULL', 'The object store has reached its size limit.'),
  10109: permanent('PERMISSION_DENIED', 'The object store is sealed: its objects cannot be changed any more.'),
  // The same as 10071, from servers since 2.12.
  10164: permanent('PRECONDITION_FAILED'),
};

/** Classifies an error of the NATS SDK by itself or by its causes. `undefined` if it is unknown. */
export function classifyNatsError(error: unknown): ErrorClass | undefined {
  const parts = causesOf(error);
  // The SDK wraps these like network errors.
  if (parts.some(({ code }) => String(code).startsWith('ERR_OSSL_'))) return permanent('CONFIG_INVALID', PEM);
  return parts.map(classifyPart).find((found) => found !== undefined);
}

type ErrorPart = Error & { readonly code?: unknown; readonly status?: unknown };

/** An error and its causes, five at most. */
function causesOf(error: unknown): ErrorPart[] {
  const parts: ErrorPart[] = [];
  for (let part = error; part instanceof Error && parts.length < 5; part = part.cause) parts.push(part);
  return parts;
}

function classifyPart(part: ErrorPart): ErrorClass | undefined {
  const { name, message, code, status } = part;
  if (message === 'object store not found') return permanent('BUCKET_MISSING', BUCKET);
  if (message.startsWith("server does not support 'tls'")) return permanent('CONFIG_INVALID', NO_TLS);
  const network = classifyNetworkError(part);
  if (network?.code === 'NETWORK' && !network.retryable) return { ...network, hint: AUTHORITY };
  const known = typeof code === 'number' ? API_CODES[code] : undefined;
  const found = known ?? network ?? (Object.hasOwn(NAMES, name) ? NAMES[name] : undefined);
  if (found !== undefined) return found;
  // 503: no leader, starting up, and the like.
  const unavailable = name === 'JetStreamApiError' && (status === 503 || status === 500);
  return unavailable ? { code: 'UNAVAILABLE', retryable: true } : undefined;
}

/** The error to throw: classified, and without what the SDK attached. An unknown error stays as it is. */
export function natsError(error: unknown, doing: string, object: string | undefined): Error {
  const found = classifyNatsError(error);
  if (found === undefined) return error instanceof Error ? error : new Error(String(error));
  const cause = safeCause(error);
  return new LitestreamError(`cannot ${doing}: ${cause.message}`, { ...found, backend: 'nats', object, cause });
}

function permanent(code: LitestreamErrorCode, hint?: string): ErrorClass {
  return { code, retryable: false, hint };
}
