import type OssSdk from 'ali-oss';

/**
 * Makes keys with `.` and `..` segments work. The SDK signs a request with these segments. Its HTTP library then removes them
 * from a URL in text form, but not from one in parts.
 */
export function keepDots(client: OssSdk): OssSdk {
  const sdk = client as unknown as { urllib: HttpLibrary };
  const { urllib } = sdk;
  sdk.urllib = { request: (url, params) => urllib.request(hasDots(url) ? inParts(url) : url, params) };
  return client;
}

interface HttpLibrary {
  request(url: string | UrlParts, params: unknown): unknown;
}

/** The parts of a URL that the library reads. */
interface UrlParts {
  readonly href: string;
  readonly protocol: string;
  readonly host: string;
  readonly hostname: string;
  readonly port: string | null;
  /** With its query. */
  readonly path: string;
}

function hasDots(url: string | UrlParts): url is string {
  return typeof url === 'string' && /^[^?#]*\/\.{1,2}(?:[/?#]|$)/.test(url);
}

function inParts(url: string): UrlParts {
  const { protocol, host, hostname, port } = new URL(url);
  const path = url.replace(/^[a-z]+:\/\/[^/]*/, '');
  return { href: url, protocol, host, hostname: hostname.replace(/^\[|\]$/g, ''), port: port || null, path };
}
