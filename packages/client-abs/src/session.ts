import type { TokenCredential } from '@azure/identity';
import type * as Sdk from '@azure/storage-blob';
import { loadSdk } from '@litestream/core';

import { absError } from './errors.ts';
import { lengthFromRange } from './answer-length.ts';
import { type AbsSettings, type Login, secretsOf } from './settings.ts';

/** A connected SDK and what every operation needs of it. */
export class AbsSession {
  readonly container: Sdk.ContainerClient;
  readonly settings: AbsSettings;

  constructor(container: Sdk.ContainerClient, settings: AbsSettings) {
    this.container = container;
    this.settings = settings;
  }

  /** Runs a request; what it throws becomes the error to throw. */
  async run<T>(object: string, signal: AbortSignal | undefined, request: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await request();
    } catch (error) {
      throw this.error(error, object, signal);
    }
  }

  error(error: unknown, object: string, signal?: AbortSignal): unknown {
    return absError(error, { object, signal, secrets: secretsOf(this.settings) });
  }
}

/** Loads the SDK, and the identity library only where no key or token is given. */
export async function connect(settings: AbsSettings): Promise<AbsSession> {
  const sdk = await loadSdk('@azure/storage-blob', () => import('@azure/storage-blob'));
  const service = await createService(sdk, settings);
  return new AbsSession(service.getContainerClient(settings.bucket), settings);
}

async function createService(sdk: typeof Sdk, settings: AbsSettings): Promise<Sdk.BlobServiceClient> {
  const { endpoint, login } = settings;
  const options: Sdk.StoragePipelineOptions = {
    // Core retries operations; this is for the one lost request among many.
    retryOptions: { maxTries: 3, retryDelayInMs: 200, maxRetryDelayInMs: 2000 },
    userAgentOptions: { userAgentPrefix: 'litestream' },
  };
  if (login.kind === 'connectionString') {
    return sdk.BlobServiceClient.fromConnectionString(login.connectionString, options);
  }
  const pipeline = sdk.newPipeline(await credentialOf(sdk, login), options);
  pipeline.factories.unshift(lengthFromRange);
  return new sdk.BlobServiceClient(login.kind === 'sas' ? `${endpoint}?${login.token}` : endpoint, pipeline);
}

async function credentialOf(
  sdk: typeof Sdk,
  login: Login,
): Promise<Sdk.StorageSharedKeyCredential | Sdk.AnonymousCredential | TokenCredential> {
  if (login.kind === 'sas') return new sdk.AnonymousCredential();
  if (login.kind === 'key') return new sdk.StorageSharedKeyCredential(login.accountName, login.accountKey);
  const identity = await loadSdk('@azure/identity', () => import('@azure/identity'));
  return new identity.DefaultAzureCredential();
}

/** How the SDK takes a signal: not at all, rather than as `undefined`. */
export function aborting(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
