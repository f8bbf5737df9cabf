import type OssSdk from 'ali-oss';

/**
 * Lets the SDK ask for keys with `.` and `..` in them. The SDK signs a request with these segments. Its HTTP library then removes
 * them from a URL that is text, but not from one that is in parts.
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

/** What the library reads of a parsed URL. */
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
