import { ConfigReader, LitestreamError, definePlugin } from '@litestream/core/client';
import type { LitestreamPlugin, ReplicaUrl } from '@litestream/core/client';

import type { OssOptions } from './options.ts';
import { OssReplicaClient } from './oss-client.ts';

const ENDPOINT_HOST = /^(?:([^.]+)\.)?oss-(.+?)(-internal)?\.aliyuncs\.com$/;

/** The plugin for `type: oss` and `oss://`. */
export function oss(): LitestreamPlugin<OssOptions> {
  return definePlugin({
    name: '@litestream/client-oss',
    apiVersion: 1,
    schemes: ['oss'],
    types: ['oss'],
    configSchema: { parse: parseOssConfig },
    configFromUrl: ossConfigFromUrl,
    create: (options, { env }) => new OssReplicaClient(options, env),
  });
}

export default oss;

/** Validates a config from YAML or from a URL. Fields of other backends are allowed and ignored. */
export function parseOssConfig(config: unknown): OssOptions {
  const read = new ConfigReader(config, 'oss');
  const version = read.integer('signature-version');
  if (version !== undefined && version !== 1 && version !== 4) {
    throw new LitestreamError('signature-version of the oss replica must be 1 or 4', {
      code: 'CONFIG_INVALID',
      backend: 'oss',
    });
  }
  return {
    bucket: read.required('bucket'),
    path: read.string('path'),
    region: read.string('region'),
    endpoint: read.string('endpoint'),
    internal: read.boolean('internal'),
    accessKeyId: read.string('access-key-id'),
    secretAccessKey: read.string('secret-access-key'),
    sessionToken: read.string('session-token'),
    forcePathStyle: read.boolean('force-path-style'),
    signatureVersion: version,
    partSize: read.bytes('part-size'),
    concurrency: read.integer('concurrency'),
  };
}

/** `oss://bucket/path`, or with the bucket's endpoint as host: `oss://bucket.oss-REGION[-internal].aliyuncs.com/path`. */
export function ossConfigFromUrl(url: ReplicaUrl): Record<string, unknown> {
  const match = ENDPOINT_HOST.exec(url.host);
  const host =
    match === null
      ? { bucket: url.host }
      : { bucket: match[1], region: match[2], ...(match[3] === undefined ? {} : { internal: true }) };
  // As in Litestream (Go): without a path, keys begin with `./`.
  const path = url.hasPath === false ? '.' : url.path;
  return { ...host, path, ...Object.fromEntries(url.query) };
}
