import type { ReplicaClient } from '../storage/contract/contract.ts';
import { guardClient } from '../storage/guard/guard-client.ts';
import type { Logger } from '../util/logger.ts';
import type { LitestreamPlugin, PluginContext } from '../plugins/plugin.ts';
import { PluginRegistry } from '../plugins/registry.ts';
import type { ReplicaTarget } from './litestream-options.ts';

/** A client, and what ends it, unless it is the caller's to dispose of. */
export interface OpenClient {
  readonly client: ReplicaClient;
  readonly release: () => Promise<void>;
}

/** Makes the client of a replica target. */
export class ReplicaClients {
  readonly #registry: PluginRegistry;
  readonly #logger: Logger;

  constructor(plugins: readonly LitestreamPlugin[] | undefined, logger: Logger) {
    this.#registry = new PluginRegistry({ plugins });
    this.#logger = logger;
  }

  async open(
    target: ReplicaTarget,
    context: Pick<PluginContext, 'databasePath' | 'stagingPath'> = {},
  ): Promise<OpenClient> {
    const logger = this.#logger;
    if (isClient(target)) return { client: guardClient(target, { logger }), release: () => Promise.resolve() };
    const spec = typeof target === 'string' ? { url: target } : target;
    const client = await this.#registry.createClient(spec, { logger, ...context });
    return { client, release: async () => await client[Symbol.asyncDispose]() };
  }

  /** Opens a client for the time of some work. */
  async using<T>(target: ReplicaTarget, work: (client: ReplicaClient) => Promise<T>): Promise<T> {
    const { client, release } = await this.open(target);
    try {
      return await work(client);
    } finally {
      await release();
    }
  }
}

function isClient(target: ReplicaTarget): target is ReplicaClient {
  return typeof target === 'object' && 'openLtxFile' in target;
}
