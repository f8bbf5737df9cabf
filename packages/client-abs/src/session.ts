import { Agent } from 'node:https';

import type { DefaultAzureCredentialOptions, TokenCredential } from '@azure/identity';
import type * as Sdk from '@azure/storage-blob';
import { loadSdk } from '@litestream/core/client';

import { lengthFromRange } from './answer-length.ts';
import { requireProof } from './proof.ts';
import type { AbsSettings, Login } from './settings.ts';

/** Loads the SDK, and the identity library only without a key or token. */
export async function connect(settings: AbsSettings): Promise<Sdk.ContainerClient> {
  const sdk = await loadSdk('@azure/storage-blob', () => import('@azure/storage-blob'));
  const { bucket, tls } = settings;
  const agent = tls.secureContext === undefined ? undefined : new Agent({ keepAlive: true, ...tls });
  const options: Sdk.StoragePipelineOptions = {
    // Core retries operations; this covers one lost request among many.
    retryOptions: { maxTries: 3, retryDelayInMs: 200, maxRetryDelayInMs: 2000 },
    userAgentOptions: { userAgentPrefix: 'litestream' },
  };
  const { credential, url } = await createService(sdk, settings, options, agent);
  const pipeline = sdk.newPipeline(credential, options);
  pipeline.factories.unshift(requireProof, lengthFromRange);
  if (agent !== undefined) pipeline.factories.push(trusting(agent));
  return new sdk.BlobServiceClient(url, pipeline).getContainerClient(bucket);
}

async function createService(
  sdk: typeof Sdk,
  { endpoint, login }: AbsSettings,
  options: Sdk.StoragePipelineOptions,
  agent: Agent | undefined,
): Promise<Sdk.BlobServiceClient> {
  if (login.kind === 'connectionString') {
    return sdk.BlobServiceClient.fromConnectionString(login.connectionString, options);
  }
  return new sdk.BlobServiceClient(
    login.kind === 'sas' ? `${endpoint}?${login.token}` : endpoint,
    await credentialOf(sdk, login, agent),
    options,
  );
}

async function credentialOf(
  sdk: typeof Sdk,
  login: Login,
  agent: Agent | undefined,
): Promise<Sdk.StorageSharedKeyCredential | Sdk.AnonymousCredential | TokenCredential> {
  if (login.kind === 'sas') return new sdk.AnonymousCredential();
  if (login.kind === 'key') return new sdk.StorageSharedKeyCredential(login.accountName, login.accountKey);
  const identity = await loadSdk('@azure/identity', () => import('@azure/identity'));
  return new identity.DefaultAzureCredential(agent === undefined ? {} : { additionalPolicies: [trustPolicy(agent)] });
}

/** Uses an agent that trusts the machine's certificates. A request through a proxy keeps the SDK's agent. */
function trusting(agent: Agent): Sdk.RequestPolicyFactory {
  return {
    create: (next) => ({
      sendRequest: (request) => {
        if (request.url.startsWith('https:')) request.agent ??= agent;
        return next.sendRequest(request);
      },
    }),
  };
}

/** The same for the identity library. */
function trustPolicy(agent: Agent): AdditionalPolicy {
  return {
    position: 'perRetry',
    policy: {
      name: 'litestreamTrust',
      sendRequest: (request, next) => {
        if (request.url.startsWith('https:')) request.agent ??= agent;
        return next(request);
      },
    },
  };
}

type AdditionalPolicy = NonNullable<DefaultAzureCredentialOptions['additionalPolicies']>[number];
