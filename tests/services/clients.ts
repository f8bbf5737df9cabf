/** The client packages under test, by the type their configs name. Loaded only when asked for. */
import { type LitestreamPlugin, type ReplicaClient, file, silentLogger } from '@litestream/core';

import type { RunningService } from './service.ts';

const plugins: Readonly<Record<string, () => Promise<LitestreamPlugin>>> = {
  abs: async () => (await import('@litestream/client-abs')).abs(),
  file: async () => file(),
  gs: async () => (await import('@litestream/client-gcs')).gcs(),
  nats: async () => (await import('@litestream/client-nats')).nats(),
  oss: async () => (await import('@litestream/client-oss')).oss(),
  s3: async () => (await import('@litestream/client-s3')).s3(),
  sftp: async () => (await import('@litestream/client-sftp')).sftp(),
  webdav: async () => (await import('@litestream/client-webdav')).webdav(),
};

/** Config of the replica at a path of a running service, in the words of YAML. */
export async function replicaConfig(running: RunningService, path: string): Promise<RunningService['config']> {
  return (await running.configAt?.(path, running.config)) ?? { ...running.config, path };
}

/** Makes a client for a folder of a running service, as core makes it from a config. */
export async function createClient(running: RunningService, path: string): Promise<ReplicaClient> {
  const load = plugins[running.config.type];
  if (load === undefined) throw new Error(`no client for type ${running.config.type}`);
  const plugin = await load();
  const config = plugin.configSchema.parse(await replicaConfig(running, path));
  const env = { ...process.env, ...running.env };
  return plugin.create(config, { logger: silentLogger, env, folder: process.cwd() });
}
