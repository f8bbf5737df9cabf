/**
 * Helpers for clients that turn an SDK's error into a `LitestreamError`: network errors, and causes without secrets.
 */
import { errorText } from './error-text.ts';
import type { LitestreamErrorCode } from '../../util/error.ts';
import { redact } from './redact.ts';

/** What a client knows about an SDK's error. */
export interface ErrorClass {
  readonly code: LitestreamErrorCode;
  readonly retryable: boolean;
  /** The next step for the user, as a sentence. */
  readonly hint?: string | undefined;
}

const TIMEOUTS = new Set(['ETIMEDOUT', 'ESOCKETTIMEDOUT', 'ERR_SOCKET_CONNECTION_TIMEOUT', 'TimeoutError']);
const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EAI_AGAIN',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EPIPE',
  'EPROTO',
  'ERR_STREAM_PREMATURE_CLOSE',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]);
const CERTIFICATE = /^(CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|UNABLE_TO_|ERR_TLS_)/;

/** Errors of OpenSSL for an answer that is not TLS. */
const SPOKEN_IN_TLS =
  /wrong version number|packet length too long|SSL routines:[^:]*:(?:http request|unknown protocol)/i;
const NO_TLS: ErrorClass = {
  code: 'NETWORK',
  retryable: false,
  hint: 'The server does not speak TLS. If that is intended, write http:// before its address.',
};

/** Answers of nginx, Apache and Go to an unencrypted request on a port for TLS. */
const IN_CLEAR = /plain HTTP (?:request was sent )?to (?:an SSL-enabled|HTTPS)|HTTP request to an HTTPS server/i;
const SPOKEN_IN_CLEAR: ErrorClass = {
  code: 'NETWORK',
  retryable: false,
  hint: 'The server speaks TLS only: write https:// before its address.',
};

/** Each SDK puts the text of a refusal into another property. */
function spokenInClear(error: object): boolean {
  const { message, $responseBodyText, response } = error as {
    message?: unknown;
    $responseBodyText?: unknown;
    response?: { data?: unknown; bodyAsText?: unknown } | null;
  };
  const texts = [message, $responseBodyText, response?.data, response?.bodyAsText];
  return texts.some((one) => typeof one === 'string' && IN_CLEAR.test(one));
}

const UNTRUSTED =
  'Check the TLS certificate of the endpoint. If a private authority signed it, set SSL_CERT_FILE, or skip-verify.';

/**
 * Recognises failures below HTTP: refused, reset, unresolved, timed out, an untrusted certificate. Looks into `cause`
 * and into the errors of an `AggregateError` (Node throws one if every address of a host fails).
 */
export function classifyNetworkError(error: unknown): ErrorClass | undefined {
  for (const part of chain(error)) {
    if (spokenInClear(part)) return SPOKEN_IN_CLEAR;
    if (SPOKEN_IN_TLS.test(text((part as { message?: unknown }).message))) return NO_TLS;
    const code = text((part as { code?: unknown }).code);
    const name = text((part as { name?: unknown }).name);
    if (CERTIFICATE.test(code)) {
      return { code: 'NETWORK', retryable: false, hint: UNTRUSTED };
    }
    if (TIMEOUTS.has(code) || TIMEOUTS.has(name)) return { code: 'TIMEOUT', retryable: true };
    if (NETWORK.has(code)) {
      const unresolved = code === 'ENOTFOUND' || code === 'ECONNREFUSED';
      return {
        code: 'NETWORK',
        retryable: true,
        hint: unresolved ? 'Check the endpoint, and that its server is running.' : undefined,
      };
    }
  }
  return undefined;
}

const REDIRECT: ErrorClass = {
  code: 'CONFIG_INVALID',
  retryable: false,
  hint: 'The server redirects elsewhere: check the endpoint and the region.',
};
const PROXY_LOGIN: ErrorClass = {
  code: 'UNAUTHORIZED',
  retryable: false,
  hint: 'The proxy wants a login: put it into HTTPS_PROXY or HTTP_PROXY, or name the server in NO_PROXY.',
};

const STORAGE_FULL: ErrorClass = {
  code: 'DISK_FULL',
  retryable: false,
  hint: 'The server is out of space, or a quota is reached.',
};

/** Classifies by HTTP status alone, for backends whose error codes say no more than that. */
export function classifyHttpStatus(status: number | undefined): ErrorClass | undefined {
  if (status === undefined) return undefined;
  if (status >= 300 && status < 400) return REDIRECT;
  if (status === 407) return PROXY_LOGIN;
  if (status === 401) return { code: 'UNAUTHORIZED', retryable: false };
  if (status === 403) return { code: 'PERMISSION_DENIED', retryable: false };
  if (status === 404) return { code: 'NOT_FOUND', retryable: false };
  if (status === 408) return { code: 'TIMEOUT', retryable: true };
  if (status === 412) return { code: 'PRECONDITION_FAILED', retryable: false };
  if (status === 429) return { code: 'THROTTLED', retryable: true };
  if (status === 507) return STORAGE_FULL;
  if (status >= 500) return { code: 'UNAVAILABLE', retryable: status !== 501 };
  return undefined;
}

/**
 * An error to use as `cause`: name, message, code, status and stack of an SDK's error, without its request, which may
 * contain credentials. `secrets` are removed from all texts.
 */
export function safeCause(error: unknown, secrets: readonly (string | undefined)[] = []): Error {
  const cut = (text: string): string =>
    redact(
      text,
      secrets.filter((secret) => secret !== undefined),
    );
  const source = error as { name?: unknown; message?: unknown; stack?: unknown; code?: unknown };
  const cause = new Error(cut(text(source?.message) || errorText(error)));
  cause.name = text(source?.name) || 'Error';
  if (typeof source?.stack === 'string') cause.stack = cut(source.stack);
  if (typeof source?.code === 'string' || typeof source?.code === 'number') Object.assign(cause, { code: source.code });
  const status = httpStatus(error);
  if (status !== undefined) Object.assign(cause, { statusCode: status });
  return cause;
}

/** The HTTP status of an SDK's error, from any property where SDKs put it. */
export function httpStatus(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const source = error as {
    $metadata?: { httpStatusCode?: unknown };
    statusCode?: unknown;
    status?: unknown;
    response?: { status?: unknown };
  };
  const found = source.$metadata?.httpStatusCode ?? source.statusCode ?? source.status ?? source.response?.status;
  return typeof found === 'number' ? found : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function* chain(error: unknown, depth = 0): Generator<object> {
  if (typeof error !== 'object' || error === null || depth > 5) return;
  yield error;
  if (error instanceof AggregateError) for (const inner of error.errors) yield* chain(inner, depth + 1);
  yield* chain((error as { cause?: unknown }).cause, depth + 1);
}
