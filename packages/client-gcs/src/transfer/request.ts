import type { Bucket } from '@google-cloud/storage';

/** One request of the JSON API. */
export interface GcsRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
  readonly responseType?: 'json' | 'stream';
  readonly signal?: AbortSignal | undefined;
  /** Whether the request may arrive twice. Default: true for requests that only read. */
  readonly repeatable?: boolean;
  /** Statuses other than 2xx that are not errors. */
  readonly accept?: readonly number[];
}

export interface GcsResponse<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly data: T;
}

/** In bytes. A page of a listing has 1000 objects, of some KiB each. A longer answer would fill the memory. */
const DOCUMENT_SIZE_MAX = 64 << 20;

/**
 * Sends a request with the credentials of the SDK. Transfers do not use the SDK's streams: those cannot be aborted, and keep
 * the socket of a download whose reader has stopped.
 */
export async function request<T>(bucket: Bucket, options: GcsRequest): Promise<GcsResponse<T>> {
  const { accept = [], body, signal, repeatable = (options.method ?? 'GET') === 'GET', ...rest } = options;
  const send = (): Promise<GcsResponse<T>> =>
    bucket.storage.authClient.request<T>({
      ...rest,
      ...(rest.responseType === 'stream' ? {} : { maxContentLength: DOCUMENT_SIZE_MAX }),
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
      // Core retries, and has to see each attempt.
      retry: false,
      redirect: 'manual',
      errorRedactor: forgetRequest,
      validateStatus: (status) => (status >= 200 && status < 300) || accept.includes(status),
    });
  try {
    return await send();
  } catch (error) {
    // A server may close an idle connection while a request is sent on it; the next request opens a new one.
    if (!repeatable || (error as { code?: unknown }).code !== 'ECONNRESET' || signal?.aborted === true) throw error;
    return await send();
  }
}

interface Failed {
  readonly config?: unknown;
  readonly response?: { readonly config?: unknown } | undefined;
}

/**
 * Removes credentials and the body from an error. The library's own redaction calls a function for each byte of the body, several
 * times, and blocks the process for seconds.
 */
function forgetRequest<T extends Failed>(error: T): T {
  for (const config of [error.config, error.response?.config]) {
    if (typeof config !== 'object' || config === null) continue;
    if ('headers' in config && config.headers instanceof Headers) config.headers.delete('authorization');
    Object.assign(config, { body: undefined, data: undefined });
  }
  return error;
}

/** URL of an object, or of the uploads of a bucket. */
export function mediaUrl(bucket: Bucket, key: string): string {
  const path = `${encodeURIComponent(bucket.name)}/o/${encodeURIComponent(key)}`;
  return `${bucket.storage.apiEndpoint}/storage/v1/b/${path}?alt=media`;
}

export function uploadUrl(bucket: Bucket, query: Readonly<Record<string, string>>): string {
  const path = `${encodeURIComponent(bucket.name)}/o`;
  return `${bucket.storage.apiEndpoint}/upload/storage/v1/b/${path}?${new URLSearchParams(query).toString()}`;
}

/** URL of one object, without its bytes. */
export function objectUrl(bucket: Bucket, key: string, query: Readonly<Record<string, string>> = {}): string {
  const path = `${encodeURIComponent(bucket.name)}/o/${encodeURIComponent(key)}`;
  return `${bucket.storage.apiEndpoint}/storage/v1/b/${path}?${new URLSearchParams(query).toString()}`;
}

/** URL of a page of a listing. */
export function listUrl(bucket: Bucket, query: Readonly<Record<string, string>>): string {
  const path = `${encodeURIComponent(bucket.name)}/o`;
  return `${bucket.storage.apiEndpoint}/storage/v1/b/${path}?${new URLSearchParams(query).toString()}`;
}
