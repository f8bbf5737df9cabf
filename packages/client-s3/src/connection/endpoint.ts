/** Which provider an endpoint belongs to, and what that provider needs. Source: the provider guide of Litestream (Go). */

const LOCAL = [
  /^localhost$/,
  /^127\.0\.0\.1$/,
  /^192\.168\./,
  /^10\./,
  /^172\.(1[6-9]|2\d|3[01])\./,
  /\.local$/,
  /\.localhost$/,
];

/** Defaults that differ for a provider. */
export interface ProviderDefaults {
  readonly forcePathStyle?: boolean | undefined;
  readonly requireContentMd5?: boolean | undefined;
  readonly concurrency?: number | undefined;
  /** Headers that every request carries. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** `host` or `host:port` of an endpoint, in lower case. Empty if the text is no endpoint, or has credentials. */
function endpointHost(endpoint: string | undefined): string {
  const text = (endpoint ?? '').trim().toLowerCase();
  if (text === '') return '';
  const url = URL.parse(/^https?:\/\//.test(text) ? text : `https://${text}`);
  return url === null || url.username !== '' || url.password !== '' ? '' : hostOf(text);
}

/** Adds the scheme an endpoint lacks: `http://` for local ones, `https://` for all others. */
export function ensureEndpointScheme(endpoint: string): string {
  if (endpoint === '' || /^https?:\/\//.test(endpoint)) return endpoint;
  return `${isLocalEndpoint(endpoint) ? 'http' : 'https'}://${endpoint}`;
}

/** A loopback or private address: such servers usually speak plain HTTP. */
export function isLocalEndpoint(endpoint: string): boolean {
  const host = endpointHost(endpoint).replace(/:\d+$/, '');
  return LOCAL.some((pattern) => pattern.test(host));
}

/** The defaults for an endpoint; an empty object for AWS and for providers that need nothing special. */
export function providerDefaults(endpoint: string | undefined): ProviderDefaults {
  const host = endpointHost(endpoint);
  const bare = host.replace(/:\d+$/, '').replace(/\.$/, '');
  if (host === '') return {};
  if (bare === 'fly.storage.tigris.dev' || bare === 't3.storage.dev') {
    return { requireContentMd5: false, headers: { 'x-tigris-consistent': 'true' } };
  }
  if (bare.endsWith('.r2.cloudflarestorage.com')) return { concurrency: 2 };
  if (
    bare === 's3.filebase.com' ||
    bare.endsWith('.backblazeb2.com') ||
    bare.endsWith('.supabase.co') ||
    isNeon(bare)
  ) {
    return { forcePathStyle: true };
  }
  if (host !== bare && !/\.(amazonaws\.com|digitaloceanspaces\.com|scw\.cloud)$/.test(bare))
    return { forcePathStyle: true };
  return {};
}

function isNeon(host: string): boolean {
  return host.endsWith('.neon.tech') && host.includes('.storage.');
}

function hostOf(text: string): string {
  return text.replace(/^https?:\/\//, '').replace(/[/?#].*$/, '');
}
