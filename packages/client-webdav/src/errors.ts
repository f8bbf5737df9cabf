import {
  LitestreamError,
  classifyHttpStatus,
  classifyNetworkError,
  httpStatus,
  isLitestreamError,
  safeCause,
} from '@litestream/core';
import type { ErrorClass, LitestreamErrorCode } from '@litestream/core';

/** An unexpected answer. Its message has no header and no body: both may quote credentials. */
export class WebdavStatusError extends Error {
  override readonly name = 'WebdavStatusError';
  readonly status: number;

  constructor(method: string, status: number) {
    super(`${method}: the server answered with status ${status}`);
    this.status = status;
  }
}

const redirected = permanent(
  'CONFIG_INVALID',
  'The server redirects elsewhere: put the address it redirects to into webdav-url.',
);
const STATUSES: Readonly<Record<number, ErrorClass>> = {
  207: permanent('PERMISSION_DENIED', 'The server could not do all of the request.'),
  401: permanent('UNAUTHORIZED', 'Check webdav-username and webdav-password.'),
  403: permanent('PERMISSION_DENIED', 'Let the user write in the folder of the replica.'),
  405: permanent('UNSUPPORTED', 'Check that webdav-url leads to a WebDAV collection.'),
  409: permanent(
    'BUCKET_MISSING',
    'The collection that webdav-url names does not exist: create it, or correct the URL.',
  ),
  411: permanent('UNSUPPORTED', 'A proxy before the server drops Content-Length.'),
  413: permanent(
    'PERMISSION_DENIED',
    'The server, or a proxy before it, limits the size of uploads: see LimitRequestBody of Apache (1 GiB unless set), ' +
      'client_max_body_size of nginx (1 MiB unless set).',
  ),
  423: { code: 'UNAVAILABLE', retryable: true, hint: 'Another client holds a lock on the file or its folder.' },
  501: permanent('UNSUPPORTED', 'Check that webdav-url leads to a WebDAV collection.'),
  507: permanent('DISK_FULL', 'The server is out of space, or a quota is reached.'),
};

/** Classifies an error of the WebDAV or HTTP library. `undefined` if it is unknown. */
export function classifyWebdavError(error: unknown): ErrorClass | undefined {
  const status = httpStatus(error);
  const known = status === undefined ? undefined : STATUSES[status];
  if (known !== undefined) return known;
  if (status !== undefined && status >= 300 && status < 400) return redirected;
  const type = typeof error === 'object' && error !== null ? (error as { type?: unknown }).type : undefined;
  const inner = (error as { cause?: { type?: unknown } } | null)?.cause?.type;
  if (inner === 'no-redirect' || /redirects elsewhere/.test(String((error as Error | null)?.message)))
    return redirected;
  if (type === 'unsupported-redirect' || type === 'max-redirect' || type === 'no-redirect') return redirected;
  return classifyNetworkError(error) ?? classifyHttpStatus(status);
}

/** The error to throw: classified, and without what the library attached. Errors of core pass unchanged. */
export function webdavError(error: unknown, doing: string, object?: string): Error {
  if (isLitestreamError(error)) return error;
  const found = classifyWebdavError(error);
  if (found === undefined) return error instanceof Error ? error : new Error(String(error));
  const cause = safeCause(error);
  return new LitestreamError(`cannot ${doing}: ${cause.message}`, { ...found, backend: 'webdav', object, cause });
}

function permanent(code: LitestreamErrorCode, hint: string): ErrorClass {
  return { code, retryable: false, hint };
}
