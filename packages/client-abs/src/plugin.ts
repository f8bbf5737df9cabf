import { ConfigReader, type LitestreamPlugin, type ReplicaUrl, definePlugin } from '@litestream/core/client';

import { AbsReplicaClient } from './abs-client.ts';
import type { AbsOptions } from './options.ts';

/** The plugin for `type: abs` and `abs://[ACCOUNT@]CONTAINER/PATH`. */
export function abs(): LitestreamPlugin<AbsOptions> {
  return definePlugin({
    name: '@litestream/client-abs',
    apiVersion: 1,
    schemes: ['abs'],
    types: ['abs'],
    configSchema: { parse: parseAbsConfig },
    configFromUrl: absConfigFromUrl,
    create: (options, context) => new AbsReplicaClient(options, context.env),
  });
}

/** Validates a config from YAML or from a URL. Fields of other backends are allowed and ignored. */
export function parseAbsConfig(config: unknown): AbsOptions {
  const read = new ConfigReader(config, 'abs');
  return {
    bucket: read.required('bucket'),
    path: read.string('path'),
    accountName: read.string('account-name'),
    accountKey: read.string('account-key'),
    sasToken: read.string('sas-token'),
    connectionString: read.string('connection-string'),
    endpoint: read.string('endpoint'),
    partSize: read.bytes('part-size'),
    pageSize: read.integer('page-size'),
    concurrency: read.integer('concurrency'),
  };
}

function absConfigFromUrl(url: ReplicaUrl): Record<string, unknown> {
  const account = url.username === undefined ? {} : { 'account-name': url.username };
  return { ...account, bucket: url.host, path: url.path, ...Object.fromEntries(url.query) };
}
