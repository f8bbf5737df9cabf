import type { PluginContext } from '../../plugins/plugin.ts';
import type { PluginRegistry, ReplicaSpec } from '../../plugins/registry.ts';
import { parseReplicaUrl } from '../../plugins/replica-url.ts';
import type { ReplicaClient } from '../../storage/contract/contract.ts';
import { redact } from '../../storage/errors/redact.ts';
import { guardClient } from '../../storage/guard/guard-client.ts';
import type { Logger } from '../../util/logger.ts';
import { backendOf } from '../replication/backend.ts';

/** A URL, a path, or a specification with settings; or a client, which the caller disposes of. */
export type ReplicaTarget = string | ReplicaSpec | ReplicaClient;

/** A client. `release` disposes of it, unless the caller does. */
export interface OpenClient {
  readonly client: ReplicaClient;
  /** The URL or path without credentials, or else the type of the backend. */
  readonly name: string;
  /** See `backendOf`. */
  readonly backend: string;
  readonly release: () => Promise<void>;
}

/** Makes the client of a replica target. */
export interface ClientFactory {
  open(target: ReplicaTarget, context?: Pick<PluginContext, 'databasePath' | 'stagingPath'>): Promise<OpenClient>;
}

/** Makes clients with the plugins of a registry. */
export class PluginClientFactory implements ClientFactory {
  readonly #registry: PluginRegistry;
  readonly #logger: Logger;

  constructor(registry: PluginRegistry, logger: Logger) {
    this.#registry = registry;
    this.#logger = logger;
  }

  async open(
    target: ReplicaTarget,
    context: Pick<PluginContext, 'databasePath' | 'stagingPath'> = {},
  ): Promise<OpenClient> {
    const logger = this.#logger;
    if (isClient(target)) {
      const { type } = target;
      const client = guardClient(target, { logger });
      return { client, name: type, backend: `client ${type}`, release: () => Promise.resolve() };
    }
    const spec = typeof target === 'string' ? { url: target } : target;
    const client = await this.#registry.createClient(spec, { logger, ...context });
    return {
      client,
      name: nameOf(spec, client.type),
      backend: backendOf(spec),
      release: async () => await client[Symbol.asyncDispose](),
    };
  }
}

/** Opens a client, runs the work, and releases the client. */
export async function withClient<T>(
  factory: ClientFactory,
  target: ReplicaTarget,
  work: (client: ReplicaClient) => Promise<T>,
): Promise<T> {
  const { client, release } = await factory.open(target);
  try {
    return await work(client);
  } finally {
    await release();
  }
}

export function isClient(target: ReplicaTarget): target is ReplicaClient {
  return typeof target === 'object' && 'openLtxFile' in target;
}

function nameOf({ url, settings }: ReplicaSpec, type: string): string {
  if (url !== undefined) return parseReplicaUrl(url).text;
  const place = settings?.['path'];
  return typeof place === 'string' ? redact(`${type}://${place}`) : type;
}
