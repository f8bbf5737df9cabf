import { ConfigReader, type LitestreamPlugin, definePlugin } from '@litestream/core/client';

import type { S3Options } from './connection/options.ts';
import { S3ReplicaClient } from './s3-client.ts';
import { s3ConfigFromUrl } from './connection/url.ts';

/** The plugin for `type: s3` and `s3://`. */
export function s3(): LitestreamPlugin<S3Options> {
  return definePlugin({
    name: '@litestream/client-s3',
    apiVersion: 1,
    schemes: ['s3'],
    types: ['s3'],
    configSchema: { parse: parseS3Config },
    configFromUrl: s3ConfigFromUrl,
    create: (options, context) => new S3ReplicaClient(options, context.env, context.logger),
  });
}

/** Validates a config from YAML or from a URL. Fields of other backends are allowed and ignored. */
export function parseS3Config(config: unknown): S3Options {
  const read = new ConfigReader(config, 's3');
  return {
    bucket: read.required('bucket'),
    path: read.string('path'),
    region: read.string('region'),
    endpoint: read.string('endpoint'),
    accessKeyId: read.string('access-key-id'),
    secretAccessKey: read.string('secret-access-key'),
    sessionToken: read.string('session-token'),
    forcePathStyle: read.boolean('force-path-style'),
    skipVerify: read.boolean('skip-verify'),
    signPayload: read.boolean('sign-payload'),
    requireContentMd5: read.boolean('require-content-md5'),
    putObjectContentMd5: read.boolean('put-object-content-md5'),
    storageClass: read.string('storage-class'),
    partSize: read.bytes('part-size'),
    concurrency: read.integer('concurrency'),
    sseCustomerAlgorithm: read.string('sse-customer-algorithm'),
    sseCustomerKey: read.string('sse-customer-key'),
    sseCustomerKeyPath: read.string('sse-customer-key-path'),
    sseKmsKeyId: read.string('sse-kms-key-id'),
  };
}
