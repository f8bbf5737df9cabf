/** Toxiproxy: a TCP proxy between litestream and a server that a test makes slow, narrow, silent or dead. */
import { goTool } from './install.ts';
import { type ServerProcess, freePort, startServer } from './process.ts';
import type { RunningService } from './service.ts';

const MODULE = 'github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0';

/** What a toxic does, in Toxiproxy's own words. */
export interface Toxic {
  readonly type: 'latency' | 'bandwidth' | 'timeout' | 'reset_peer' | 'limit_data';
  readonly attributes: Readonly<Record<string, number>>;
  /** `upstream` is towards the server. */
  readonly stream: 'upstream' | 'downstream';
}

export class Toxiproxy implements AsyncDisposable {
  /** The port clients connect to. */
  readonly port: number;
  readonly #server: ServerProcess;

  /** Listens in front of a port of loopback. */
  static async start(upstreamPort: number): Promise<Toxiproxy> {
    const program = goTool(MODULE, 'toxiproxy-server');
    const api = await freePort();
    const server = await startServer(program, ['-host', '127.0.0.1', '-port', String(api)], { port: api });
    const proxy = new Toxiproxy(server, await freePort());
    const listen = `127.0.0.1:${proxy.port}`;
    await proxy.#ask('POST', '/proxies', { name: 'server', listen, upstream: `127.0.0.1:${upstreamPort}` });
    return proxy;
  }

  private constructor(server: ServerProcess, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** Poisons the connections that are there and those that come. Gives what takes it away again. */
  async add(toxic: Toxic): Promise<() => Promise<void>> {
    const name = `${toxic.type}-${toxic.stream}`;
    await this.#ask('POST', '/proxies/server/toxics', { name, toxicity: 1, ...toxic });
    return () => this.#ask('DELETE', `/proxies/server/toxics/${name}`);
  }

  /** Refuses connections and ends those that are there, or takes them again. */
  async reachable(enabled: boolean): Promise<void> {
    await this.#ask('POST', '/proxies/server', { enabled });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
  }

  async #ask(method: string, path: string, body?: object): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${this.#server.port}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`toxiproxy: ${method} ${path}: ${answer.status} ${text}`);
  }
}

/** The port of loopback a service is configured with, wherever its config or environment names it. */
export function portOf(running: RunningService): number {
  const texts = [...Object.values(running.config), ...Object.values(running.env ?? {})];
  for (const text of texts) {
    const port = typeof text === 'string' ? /\b127\.0\.0\.1:(\d+)/.exec(text)?.[1] : undefined;
    if (port !== undefined) return Number(port);
  }
  throw new Error(`no address of a server in the config of ${running.config.type}`);
}

/** The same service, seen through a proxy. */
export function through(running: RunningService, port: number): RunningService {
  const from = new RegExp(`\\b127\\.0\\.0\\.1:${portOf(running)}\\b`, 'g');
  const moved = <T>(value: T): T =>
    typeof value === 'string' ? (value.replace(from, `127.0.0.1:${port}`) as T & string) : value;
  const move = <T extends object>(values: T): T =>
    Object.fromEntries(Object.entries(values).map(([key, value]) => [key, moved(value)])) as T;
  const { configAt } = running;
  return {
    ...running,
    config: move(running.config),
    ...(running.env === undefined ? {} : { env: move(running.env) }),
    ...(running.goConfig === undefined ? {} : { goConfig: move(running.goConfig) }),
    ...(configAt === undefined ? {} : { configAt: async (path, config) => move(await configAt(path, config)) }),
  };
}
