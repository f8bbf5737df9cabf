import { globalAgent } from 'node:http';
import { Agent } from 'node:https';

import type { Bucket, Storage, StorageOptions } from '@google-cloud/storage';
import { loadSdk, trustedTls } from '@litestream/core/client';
import type * as Auth from 'google-auth-library';

import type { GcsOptions } from './options.ts';

/** Options with every default applied. */
export interface GcsSettings {
  readonly bucket: string;
  readonly path: string;
  readonly endpoint: string | undefined;
  readonly keyPath: string | undefined;
  readonly projectId: string | undefined;
  readonly partSize: number;
  readonly concurrency: number;
  /** For HTTPS. Undefined: the SDK's own. */
  readonly agent: Agent | undefined;
}

/** Metadata key of a file's time. */
export const TIMESTAMP_KEY = 'litestream-timestamp';

/** Chunks of a resumable upload are multiples of this. */
const CHUNK_SIZE = 256 * 1024;

export function resolveSettings(options: GcsOptions, env: Readonly<Record<string, string | undefined>>): GcsSettings {
  const endpoint = options.endpoint || env['STORAGE_EMULATOR_HOST'] || undefined;
  const partSize = Math.max(1, Math.ceil((options.partSize ?? 8 * 1024 * 1024) / CHUNK_SIZE)) * CHUNK_SIZE;
  return {
    bucket: options.bucket,
    path: options.path ?? '',
    endpoint: endpoint === undefined || /^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`,
    keyPath: options.keyPath,
    projectId: options.projectId,
    partSize,
    concurrency: options.concurrency ?? 16,
    agent: agentOf(env),
  };
}

/** An agent that trusts the machine's certificates. Through a proxy, the SDK needs its own agent. */
function agentOf(env: Readonly<Record<string, string | undefined>>): Agent | undefined {
  const proxy = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'].some((name) => env[name]);
  const tls = trustedTls(env);
  return proxy || tls.secureContext === undefined ? undefined : new Agent({ keepAlive: true, ...tls });
}

/** The SDK's handle on the bucket. */
export async function openBucket(settings: GcsSettings): Promise<Bucket> {
  const sdk = await loadSdk('@google-cloud/storage', () => import('@google-cloud/storage'));
  const auth = await loadSdk('google-auth-library', () => import('google-auth-library'));
  return createStorage(sdk.Storage, auth, settings).bucket(settings.bucket);
}

function createStorage(Sdk: typeof Storage, auth: typeof Auth, settings: GcsSettings): Storage {
  const { agent, endpoint, keyPath, projectId } = settings;
  const anonymous = endpoint !== undefined && !isGoogle(endpoint);
  // Requests for credentials use it, too.
  const transport =
    agent === undefined
      ? undefined
      : { transporterOptions: { agent: (url: URL) => (url.protocol === 'https:' ? agent : globalAgent) } };
  const options: StorageOptions = {
    ...(transport === undefined ? {} : { clientOptions: transport }),
    ...(endpoint === undefined ? {} : { apiEndpoint: endpoint, useAuthWithCustomEndpoint: !anonymous }),
    // An emulator has no accounts, and its machine may have none.
    ...(anonymous ? { authClient: new auth.GoogleAuth({ authClient: new auth.PassThroughClient(transport) }) } : {}),
    ...(keyPath === undefined ? {} : { keyFilename: keyPath }),
    // Without a project, the SDK asks the metadata server, which the machine of an emulator does not have.
    ...(projectId === undefined ? (endpoint === undefined ? {} : { projectId: 'litestream' }) : { projectId }),
    // Core retries. One retry here covers a connection that the server closes while a request is sent on it.
    retryOptions: { autoRetry: true, maxRetries: 1, retryDelayMultiplier: 2, maxRetryDelay: 2 },
    userAgent: 'litestream',
  };
  // The SDK reads the whole base URL from this variable, but Google's other SDKs read the host: hide it meanwhile.
  const hidden = process.env['STORAGE_EMULATOR_HOST'];
  delete process.env['STORAGE_EMULATOR_HOST'];
  try {
    return new Sdk(options);
  } finally {
    if (hidden !== undefined) process.env['STORAGE_EMULATOR_HOST'] = hidden;
  }
}

function isGoogle(endpoint: string): boolean {
  return URL.parse(endpoint)?.hostname.endsWith('.googleapis.com') === true;
}
