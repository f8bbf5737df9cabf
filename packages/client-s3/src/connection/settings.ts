import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { homedir } from 'node:os';

import { LitestreamError, trustedTls } from '@litestream/core/client';

import { ensureEndpointScheme, isLocalEndpoint, providerDefaults } from './endpoint.ts';
import { PART_SIZE_MIN, type S3Options } from './options.ts';

/** Options with every default applied and checked. */
export interface S3Settings {
  readonly bucket: string;
  readonly path: string;
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
  readonly forcePathStyle: boolean;
  readonly skipVerify: boolean;
  /** The certificates to trust. */
  readonly tls: ReturnType<typeof trustedTls>;
  readonly signPayload: boolean;
  readonly requireContentMd5: boolean;
  readonly putObjectContentMd5: boolean;
  readonly partSize: number;
  readonly concurrency: number;
  readonly metadataConcurrency: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The value of `LITESTREAM_S3_DEBUG`. */
  readonly debug: string | undefined;
  /** Parameters of every write. */
  readonly writeParams: WriteParams;
  /** Parameters of every read and write of an object: empty, or the customer's key. */
  readonly keyParams: KeyParams;
}

interface KeyParams {
  readonly SSECustomerAlgorithm?: string;
  readonly SSECustomerKey?: string;
  readonly SSECustomerKeyMD5?: string;
}

interface WriteParams extends KeyParams {
  readonly StorageClass?: never;
  readonly ServerSideEncryption?: 'aws:kms';
  readonly SSEKMSKeyId?: string;
}

/** Applies defaults, provider quirks and the environment. @throws `CONFIG_INVALID` for settings that cannot work */
export function resolveSettings(options: S3Options, env: Readonly<Record<string, string | undefined>>): S3Settings {
  if (options.bucket === '') throw invalid('bucket required for s3 replica');
  const given = options.endpoint || env['LITESTREAM_S3_ENDPOINT'] || undefined;
  const endpoint = given === undefined ? undefined : withScheme(given, options.endpoint ? 'https' : undefined);
  const provider = providerDefaults(endpoint);
  const partSize = options.partSize ?? PART_SIZE_MIN;
  if (partSize < PART_SIZE_MIN) {
    const hint = 'S3 accepts no smaller parts. Write 5MiB or more: 5MB are 5000000 bytes.';
    throw invalid(`part size must be at least ${PART_SIZE_MIN} bytes, got ${partSize}`, hint);
  }
  const keyParams = customerKey(options, endpoint);
  return {
    bucket: options.bucket,
    path: options.path ?? '',
    region: options.region || undefined,
    endpoint,
    credentials: staticCredentials(options, env),
    forcePathStyle: options.forcePathStyle ?? provider.forcePathStyle ?? endpoint !== undefined,
    skipVerify: options.skipVerify ?? false,
    tls: trustedTls(env),
    signPayload: options.signPayload ?? true,
    requireContentMd5: options.requireContentMd5 ?? provider.requireContentMd5 ?? true,
    putObjectContentMd5: options.putObjectContentMd5 ?? false,
    partSize,
    concurrency: options.concurrency ?? provider.concurrency ?? 5,
    metadataConcurrency: options.metadataConcurrency ?? 50,
    headers: provider.headers ?? {},
    debug: env['LITESTREAM_S3_DEBUG'],
    keyParams,
    writeParams: {
      ...keyParams,
      // Storage classes of compatible servers are not in the SDK's list.
      ...(options.storageClass ? { StorageClass: options.storageClass as never } : {}),
      ...(options.sseKmsKeyId ? { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: options.sseKmsKeyId } : {}),
    },
  };
}

function withScheme(endpoint: string, fallback: string | undefined): string {
  if (/^https?:\/\//.test(endpoint) || fallback === undefined) return ensureEndpointScheme(endpoint);
  return `${fallback}://${endpoint}`;
}

/** Keys of the options, else of Litestream's own variables if AWS's are not set. Undefined: the SDK's chain finds them. */
function staticCredentials(
  options: S3Options,
  env: Readonly<Record<string, string | undefined>>,
): S3Settings['credentials'] {
  const own = env['AWS_ACCESS_KEY_ID']
    ? {}
    : { id: env['LITESTREAM_ACCESS_KEY_ID'], key: env['LITESTREAM_SECRET_ACCESS_KEY'] };
  const accessKeyId = options.accessKeyId || own.id;
  const secretAccessKey = options.secretAccessKey || own.key;
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(options.sessionToken ? { sessionToken: options.sessionToken } : {}) };
}

function customerKey(options: S3Options, endpoint: string | undefined): KeyParams {
  const key = options.sseCustomerKeyPath ? readKey(options.sseCustomerKeyPath) : options.sseCustomerKey;
  if (!key) return {};
  if (options.sseKmsKeyId) throw invalid('cannot use both sse-customer-key and sse-kms-key-id');
  const algorithm = options.sseCustomerAlgorithm || 'AES256';
  if (algorithm !== 'AES256') throw invalid(`sse-customer-algorithm must be AES256, got "${algorithm}"`);
  const bytes = Buffer.from(key, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== key.replace(/=+$/, '')) {
    throw invalid('sse-customer-key must be valid base64');
  }
  if (bytes.byteLength !== 32) {
    throw invalid(`sse-customer-key must be 256-bit (32 bytes) when decoded, got ${bytes.byteLength} bytes`);
  }
  if (endpoint !== undefined && endpoint.startsWith('http://') && !isPrivate(endpoint)) {
    throw invalid('sse-customer-key requires an HTTPS endpoint (HTTP only for localhost and private networks)');
  }
  // The SDK encodes key and digest if they are not base64 yet, so both are passed encoded.
  const digest = createHash('md5').update(bytes).digest('base64');
  return { SSECustomerAlgorithm: algorithm, SSECustomerKey: key, SSECustomerKeyMD5: digest };
}

function isPrivate(endpoint: string): boolean {
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) === 6) return host === '::1' || /^f[cd]/.test(host);
  return host === 'localhost' || (isIP(host) === 4 && (host.startsWith('127.') || isLocalEndpoint(host)));
}

function readKey(path: string): string {
  try {
    return readFileSync(path.replace(/^~(?=\/|$)/, homedir()), 'utf8').trim();
  } catch (error) {
    throw new LitestreamError(`cannot read sse-customer-key-path "${path}"`, { code: 'CONFIG_INVALID', cause: error });
  }
}

function invalid(message: string, hint?: string): LitestreamError {
  return new LitestreamError(message, { code: 'CONFIG_INVALID', backend: 's3', hint });
}
