import { isAbsolute, resolve } from 'node:path';

import { ConfigReader, LitestreamError, definePlugin } from '@litestream/core/client';
import type { LitestreamPlugin, ReplicaUrl } from '@litestream/core/client';

import { parseDurationMs } from './duration.ts';
import { NatsReplicaClient } from './nats-client.ts';
import type { NatsOptions } from './options.ts';

/** The plugin for `type: nats` and `nats://`. */
export function nats(): LitestreamPlugin<NatsOptions> {
  return definePlugin({
    name: '@litestream/client-nats',
    apiVersion: 1,
    schemes: ['nats'],
    types: ['nats'],
    configSchema: { parse: parseNatsConfig },
    configFromUrl: natsConfigFromUrl,
    create: (options, { env, folder, logger }) =>
      new NatsReplicaClient(
        {
          ...options,
          env,
          creds: fromFolder(options.creds, folder),
          rootCas: options.rootCas?.map((path) => fromFolder(path, folder) ?? path),
          clientCert: fromFolder(options.clientCert, folder),
          clientKey: fromFolder(options.clientKey, folder),
        },
        logger,
      ),
  });
}

export default nats;

/** Validates a config from YAML or from a URL. `path` and fields of other backends are ignored. */
export function parseNatsConfig(config: unknown): NatsOptions {
  const read = new ConfigReader(config, 'nats');
  const clientCert = read.string('client-cert');
  const clientKey = read.string('client-key');
  const bucket = read.required('bucket');
  if ((clientCert === undefined) !== (clientKey === undefined)) {
    throw invalid('client-cert and client-key must both be specified for mutual TLS authentication');
  }
  if (!/^[-\w]+$/.test(bucket)) {
    throw invalid('bucket of the nats replica may hold only letters, digits, hyphens and underscores');
  }
  return {
    url: read.strings('server'),
    bucket,
    username: read.string('username'),
    password: read.string('password'),
    token: read.string('token'),
    jwt: read.string('jwt'),
    seed: read.string('seed'),
    creds: read.string('creds'),
    nkey: read.string('nkey'),
    tls: read.boolean('tls'),
    rootCas: read.strings('root-cas'),
    clientCert,
    clientKey,
    maxReconnects: read.integer('max-reconnects', -1),
    reconnectWaitMs: duration(read, 'reconnect-wait'),
    timeoutMs: duration(read, 'timeout'),
  };
}

/** `nats://[user:password@]host[:port]/bucket`. */
export function natsConfigFromUrl(url: ReplicaUrl): Record<string, unknown> {
  return {
    server: url.host === '' ? undefined : `nats://${url.host}`,
    bucket: url.path,
    username: url.username,
    password: url.password,
    ...Object.fromEntries(url.query),
  };
}

/** As Litestream (Go) reads it from YAML: text such as `2s`, or a number of nanoseconds. */
function duration(read: ConfigReader, name: string): number | undefined {
  const text = read.string(name);
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) / 1e6 : parseDurationMs(text);
  if (ms === undefined) throw invalid(`${name} of the nats replica must be a duration such as 2s`);
  return ms;
}

function fromFolder(path: string | undefined, folder: string): string | undefined {
  return path === undefined || isAbsolute(path) || path.startsWith('~/') ? path : resolve(folder, path);
}

function invalid(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'CONFIG_INVALID', backend: 'nats' });
}
