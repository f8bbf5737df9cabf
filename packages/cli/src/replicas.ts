/** From a replica in the config to a client: the one place where the CLI meets core's plugins. */
import { FileClient, LitestreamError, redact } from '@litestream/core';
import type { LogFields, ReplicaClient } from '@litestream/core';
import { DEFAULT_SYNC_INTERVAL_MS, replicaType } from './config/normalise.ts';
import { expandPath } from './config/paths.ts';
import type { Config, ReplicaConfig } from './config/types.ts';
import { registerUrlSecrets } from './secrets.ts';

export interface OpenReplica {
  readonly config: ReplicaConfig;
  readonly client: ReplicaClient;
  /** How to name it in messages, without credentials. */
  readonly text: string;
  /** What `replicating to` logs of it. */
  readonly facts: LogFields;
}

export interface OpenReplicas extends AsyncDisposable {
  readonly all: readonly OpenReplica[];
}

/** The replica of a URL on a command line. */
export function replicaFromUrl(url: string): ReplicaConfig {
  registerUrlSecrets(url);
  return {
    type: replicaType(undefined, url),
    url,
    path: undefined,
    syncIntervalMs: DEFAULT_SYNC_INTERVAL_MS,
    maxSyncLtxFiles: undefined,
    autoRecover: false,
    settings: {},
  };
}

/** Makes the clients of these replicas; none of them connects yet. */
export async function openReplicas(
  replicas: readonly ReplicaConfig[],
  config: Pick<Config, 'plugins' | 'path'>,
  databasePath?: string,
): Promise<OpenReplicas> {
  const all: OpenReplica[] = [];
  const close = async (): Promise<void> => {
    for (const { client } of all) await client[Symbol.asyncDispose]();
  };
  try {
    for (const replica of replicas) all.push(await openReplica(replica, config, databasePath));
  } catch (error) {
    await close();
    throw error;
  }
  return { all, [Symbol.asyncDispose]: close };
}

async function openReplica(
  replica: ReplicaConfig,
  config: Pick<Config, 'plugins' | 'path'>,
  databasePath: string | undefined,
): Promise<OpenReplica> {
  if (replica.type !== 'file') {
    throw new LitestreamError(`unknown replica type ${replica.type} ${String(config.path)}`, {
      code: 'PLUGIN_MISSING',
    });
  }
  const path = expandPath(replica.path ?? (replica.url ?? '').replace(/^file:\/\//, ''));
  const client = new FileClient({ path, databasePath });
  return { config: replica, client, text: redact(replica.url ?? path), facts: { path } };
}
