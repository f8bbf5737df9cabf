/** A replica made from a config as core makes it, and what its operations reject with. */
import { type LitestreamPlugin, type ReplicaClient, guardClient, silentLogger } from '@litestream/core';

import { ForwardProxy } from '../support/forward-proxy.ts';

/** What must not show in any error. */
export const SECRET = 'canary-secret-31b8';

type Work = (client: ReplicaClient) => Promise<unknown>;
type Changes = Readonly<Record<string, unknown>>;

const FILE = { level: 0, minTxid: 1n, maxTxid: 1n };

const write: Work = async (client) => {
  const body = {
    size: 3,
    open: async function* () {
      yield Buffer.from('abc');
    },
  };
  return await client.writeLtxFile({ ...FILE, timestamp: new Date() }, body);
};

export class Replica {
  readonly #plugin: LitestreamPlugin;
  readonly #config: Changes;
  readonly #env: Readonly<Record<string, string>>;

  constructor(plugin: LitestreamPlugin, config: Changes, env: Readonly<Record<string, string>> = {}) {
    this.#plugin = plugin;
    this.#config = config;
    this.#env = env;
  }

  /** What a listing rejects with. */
  async list(changes: Changes = {}, env: Readonly<Record<string, string>> = {}): Promise<unknown> {
    return await this.#rejection(async (client) => await Array.fromAsync(client.ltxFiles(0)), changes, env);
  }

  /** What a write rejects with. */
  async write(changes: Changes = {}): Promise<unknown> {
    return await this.#rejection(write, changes);
  }

  /** What a deletion of a file rejects with that was there. */
  async remove(spoil: () => unknown, changes: Changes = {}): Promise<unknown> {
    await this.#work(write, {}, {});
    await spoil();
    return await this.#rejection(async (client) => await client.deleteLtxFiles([FILE]), changes);
  }

  /** What a listing rejects with through a proxy that wants a login. */
  async proxied(changes: Changes = {}): Promise<unknown> {
    await using proxy = await ForwardProxy.start();
    proxy.wantsLogin = true;
    return await this.list(changes, proxy.env(SECRET));
  }

  async #rejection(work: Work, changes: Changes, env: Readonly<Record<string, string>> = {}): Promise<unknown> {
    try {
      await this.#work(work, changes, env);
    } catch (error) {
      return error;
    }
    throw new Error('it resolved');
  }

  async #work(work: Work, changes: Changes, env: Readonly<Record<string, string>>): Promise<void> {
    using _ = environment({ ...this.#env, ...env });
    // An SDK that reads a config at once fails there.
    const config = this.#plugin.configSchema.parse({ ...this.#config, ...changes });
    const bare = await this.#plugin.create(config, { logger: silentLogger, env: process.env, folder: process.cwd() });
    await using client = guardClient(bare, { retry: { attemptCountMax: 1 } });
    await work(client);
  }
}

/** Puts variables into the environment until it is disposed of: SDKs, and Node's agents, read it by themselves. */
function environment(changes: Readonly<Record<string, string>>): Disposable {
  const before = Object.keys(changes).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, changes);
  return {
    [Symbol.dispose]: () => {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    },
  };
}
