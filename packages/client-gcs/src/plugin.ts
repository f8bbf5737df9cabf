import { ConfigReader, type LitestreamPlugin, definePlugin } from '@litestream/core/client';

import { GcsReplicaClient } from './gcs-client.ts';
import type { GcsOptions } from './options.ts';

/** The plugin for `type: gs` (or `gcs`) and `gs://`. */
export function gcs(): LitestreamPlugin<GcsOptions> {
  return definePlugin({
    name: '@litestream/client-gcs',
    apiVersion: 1,
    schemes: ['gs', 'gcs'],
    types: ['gs', 'gcs'],
    configSchema: { parse: parseGcsConfig },
    create: (options, context) => new GcsReplicaClient(options, context.env),
  });
}

/** Validates a config from YAML or from a URL. Fields of other backends are allowed and ignored. */
export function parseGcsConfig(config: unknown): GcsOptions {
  const read = new ConfigReader(config, 'gs');
  return {
    bucket: read.required('bucket'),
    path: read.string('path'),
    endpoint: read.string('endpoint'),
    keyPath: read.string('key-path'),
    projectId: read.string('project-id'),
    partSize: read.bytes('part-size'),
    concurrency: read.integer('concurrency'),
  };
}
