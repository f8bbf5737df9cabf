/** Creates the clients of replicas in the config. Only this module uses core's plugins. */
import { basename, dirname, resolve } from 'node:path';
import { DEFAULTS, PluginRegistry, parseReplicaUrl, redact } from '@litestream/core';
import type { GuardOptions, LogFields, PluginContext, ReplicaClient, ReplicaUrl } from '@litestream/core';
import { pathOfFileUrl } from '../config/file-url.ts';
import { expandPath } from '../config/paths.ts';
import { replicaType } from '../config/replica-type.ts';
import type { Config, ReplicaConfig } from '../config/types.ts';
import { registerUrlSecrets } from '../util/secrets.ts';
import { trustMachine } from '../util/trust.ts';

export interface OpenReplica {
  readonly config: ReplicaConfig;
  readonly client: ReplicaClient;
  /** Name for messages, without credentials. */
  readonly text: string;
  /** The folder of a file replica. */
  readonly folder: string | undefined;
  /** Its fields in the log line `replicating to`. */
  readonly facts: LogFields;
}

export interface OpenReplicas extends AsyncDisposable {
  readonly all: readonly OpenReplica[];
}

/** The config of a replica URL from a command line. */
export function replicaFromUrl(url: string): ReplicaConfig {
  registerUrlSecrets(url);
  return {
    type: replicaType(undefined, url),
    url,
    path: undefined,
    syncIntervalMs: DEFAULTS.syncIntervalMs,
    maxSyncLtxFiles: undefined,
    autoRecover: undefined,
    lease: undefined,
    settings: {},
  };
}

/** Creates the clients of these replicas; none of them connects yet. */
export async function openReplicas(
  replicas: readonly ReplicaConfig[],
  registry: PluginRegistry,
  databasePath?: string,
  guard: GuardOptions = {},
  stagingPath?: string,
): Promise<OpenReplicas> {
  const all: OpenReplica[] = [];
  const close = async (): Promise<void> => {
    for (const { client } of all) await client[Symbol.asyncDispose]();
  };
  try {
    for (const replica of replicas)
      all.push(await openReplica(replica, registry, { databasePath, stagingPath }, guard));
  } catch (error) {
    await close();
    throw error;
  }
  return { all, [Symbol.asyncDispose]: close };
}

async function openReplica(
  replica: ReplicaConfig,
  registry: PluginRegistry,
  context: Pick<PluginContext, 'databasePath' | 'stagingPath'>,
  guard: GuardOptions,
): Promise<OpenReplica> {
  const { type, url } = replica;
  const text = nameOf(replica);
  const labels =
    context.databasePath === undefined ? { replica: text } : { db: basename(context.databasePath), replica: text };
  const named = { ...guard, labels };
  if (type === 'file') {
    const path = expandPath(replica.path ?? pathOfFileUrl(url ?? ''));
    const client = await registry.createClient({ type, settings: { path } }, context, named);
    return { config: replica, client, text, folder: path, facts: { path } };
  }
  if (type !== 'sftp') trustMachine();
  const settings = { ...replica.settings, ...(replica.path === undefined ? {} : { path: replica.path }) };
  const client = await registry.createClient({ type, url, settings }, context, named);
  const parsed = url === undefined ? undefined : parseReplicaUrl(url);
  const implied = parsed && ((await registry.plugin(type)).configFromUrl?.(parsed) ?? impliedBy(parsed));
  return { config: replica, client, text, folder: undefined, facts: factsOf(client.type, { ...implied, ...settings }) };
}

function nameOf({ type, url, path }: ReplicaConfig): string {
  if (type === 'file') return redact(url ?? expandPath(path ?? pathOfFileUrl('')));
  return url === undefined ? `${type}://${path ?? ''}` : parseReplicaUrl(url).text;
}

function impliedBy({ host, path }: ReplicaUrl): Record<string, unknown> {
  return { bucket: host, path };
}

/** The settings that Litestream (Go) logs in `replicating to`, by backend. */
const FACTS: Readonly<Record<string, readonly string[]>> = {
  s3: ['bucket', 'path', 'region', 'endpoint'],
  gs: ['bucket', 'path'],
  abs: ['bucket', 'path', 'endpoint'],
  sftp: ['host', 'user', 'path'],
  nats: ['bucket', 'url'],
  oss: ['bucket', 'path', 'region'],
};

function factsOf(type: string, config: Readonly<Record<string, unknown>>): LogFields {
  return Object.fromEntries(
    (FACTS[type] ?? []).map((name) => {
      const value = config[name];
      return [name, typeof value === 'string' ? redact(value) : ''];
    }),
  );
}

/** A registry with core's plugins and those in the config. It looks for others beside the config when they are needed. */
export async function openRegistry(config: Pick<Config, 'plugins' | 'path'>): Promise<PluginRegistry> {
  const registry = new PluginRegistry({
    folder: config.path === undefined ? undefined : dirname(resolve(config.path)),
  });
  for (const name of config.plugins) await registry.load(name);
  return registry;
}
