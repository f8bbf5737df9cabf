import { parseReplicaUrl } from '@litestream/core';
import { describe, expect, test } from 'vitest';

import { ensureEndpointScheme, providerDefaults } from '../src/connection/endpoint.ts';
import { parseS3Config, s3 } from '../src/index.ts';
import { resolveSettings } from '../src/connection/settings.ts';

const configOf = (url: string): Record<string, unknown> => s3().configFromUrl?.(parseReplicaUrl(url)) ?? {};

describe('URLs', () => {
  test.each([
    ['s3://bucket/a/b', { bucket: 'bucket', path: 'a/b' }],
    ['s3://bucket', { bucket: 'bucket', path: '.' }],
    ['s3://bucket/', { bucket: 'bucket', path: '' }],
    ['s3://bucket.s3.eu-west-1.amazonaws.com/a', { bucket: 'bucket', region: 'eu-west-1', path: 'a' }],
    ['s3://bucket.s3.amazonaws.com/a', { bucket: 'bucket', path: 'a' }],
    [
      's3://bucket.localhost:9000/a',
      { bucket: 'bucket', endpoint: 'http://localhost:9000', region: 'us-east-1', forcePathStyle: true, path: 'a' },
    ],
    ['s3://bucket.127.0.0.1:9000/a', { bucket: 'bucket', endpoint: 'http://127.0.0.1:9000', forcePathStyle: true }],
    [
      's3://bucket.nyc3.digitaloceanspaces.com/a',
      { bucket: 'bucket', region: 'nyc3', endpoint: 'https://nyc3.digitaloceanspaces.com', forcePathStyle: false },
    ],
    [
      's3://bucket.s3.us-west-000.backblazeb2.com/a',
      {
        bucket: 'bucket',
        region: 'us-west-000',
        endpoint: 'https://s3.us-west-000.backblazeb2.com',
        forcePathStyle: true,
      },
    ],
    ['s3://bucket.s3.filebase.com/a', { bucket: 'bucket', endpoint: 'https://s3.filebase.com' }],
    [
      's3://bucket.s3.fr-par.scw.cloud/a',
      { bucket: 'bucket', region: 'fr-par', endpoint: 'https://s3.fr-par.scw.cloud' },
    ],
    [
      's3://bucket.br-demo-1.storage.c-6.us-east-2.aws.neon.tech/a',
      {
        bucket: 'bucket',
        region: 'us-east-2',
        endpoint: 'https://br-demo-1.storage.c-6.us-east-2.aws.neon.tech',
        forcePathStyle: true,
        path: 'a',
      },
    ],
    [
      's3://bucket.br-demo-1.storage.c-6.us-east-2.aws.neon.tech/a?endpoint=https://s3.example.com',
      { bucket: 'bucket.br-demo-1.storage.c-6.us-east-2.aws.neon.tech', endpoint: 'https://s3.example.com' },
    ],
    ['s3://bucket/a?putObjectContentMD5=true', { putObjectContentMd5: true }],
    ['s3://bucket/a?put-object-content-md5=true', { putObjectContentMd5: true }],
    ['s3://bucket/a?endpoint=localhost:9000', { endpoint: 'http://localhost:9000', forcePathStyle: true }],
    [
      's3://bucket/a?endpoint=x.example.com&force-path-style=false',
      { endpoint: 'https://x.example.com', forcePathStyle: false },
    ],
    [
      's3://bucket/a?region=r&skipVerify=true&sign-payload=false&requireContentMD5=no&part-size=10485760&concurrency=3',
      {
        region: 'r',
        skipVerify: true,
        signPayload: false,
        requireContentMd5: false,
        partSize: 10_485_760,
        concurrency: 3,
      },
    ],
    ['s3://bucket/a?storageClass=GLACIER&sse-kms-key-id=k', { storageClass: 'GLACIER', sseKmsKeyId: 'k' }],
    [
      's3://arn:aws:s3:us-east-2:123456789012:accesspoint/name/a/b',
      { bucket: 'arn:aws:s3:us-east-2:123456789012:accesspoint/name', region: 'us-east-2', path: 'a/b' },
    ],
  ])('%s', (url, expected) => {
    const parsed = parseS3Config(configOf(url));
    const { path, ...rest } = expected as { path?: string };
    expect(parsed).toMatchObject(rest);
    if (path !== undefined) expect(parsed.path ?? '').toBe(path);
  });

  test.each([
    's3://bucket/a?concurrency=0',
    's3://bucket/a?part-size=-1',
    's3://bucket/a?skip-verify=maybe',
    's3://127:9000/a',
  ])('%s is refused', (url) => {
    expect(() => parseS3Config(configOf(url))).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }) as Error);
  });
});

describe('providers', () => {
  test.each([
    [undefined, {}],
    ['https://s3.eu-west-1.amazonaws.com', {}],
    ['https://abc.r2.cloudflarestorage.com', { concurrency: 2 }],
    ['https://fly.storage.tigris.dev', { requireContentMd5: false, headers: { 'x-tigris-consistent': 'true' } }],
    ['https://s3.us-west-000.backblazeb2.com', { forcePathStyle: true }],
    ['https://ref.supabase.co/storage/v1/s3', { forcePathStyle: true }],
    ['https://br-demo-1.storage.c-6.us-east-2.aws.neon.tech', { forcePathStyle: true }],
    ['https://br-demo-1.storage.c-6.us-east-2.aws.neon.tech.example.com', {}],
    ['https://console.neon.tech', {}],
    ['http://minio:9000', { forcePathStyle: true }],
    ['https://t3.storage.dev', { requireContentMd5: false, headers: { 'x-tigris-consistent': 'true' } }],
    ['https://s3.filebase.com', { forcePathStyle: true }],
    ['https://nyc3.digitaloceanspaces.com', {}],
    ['https://s3.fr-par.scw.cloud:443', {}],
    ['https://fsn1.your-objectstorage.com', {}],
    ['https://storage.googleapis.com', {}],
    ['https://someone:secret@fly.storage.tigris.dev', {}],
  ])('%s', (endpoint, expected) => {
    expect(providerDefaults(endpoint)).toEqual(expected);
  });

  test('an endpoint without a scheme gets http on private networks only', () => {
    expect(['localhost:9000', '10.0.0.1', '172.20.1.1:1', 'example.com'].map(ensureEndpointScheme)).toEqual([
      'http://localhost:9000',
      'http://10.0.0.1',
      'http://172.20.1.1:1',
      'https://example.com',
    ]);
  });
});

describe('settings', () => {
  const options = { bucket: 'b' };

  test('credentials: own ones, then LITESTREAM_ variables unless AWS has its own', () => {
    const own = { accessKeyId: 'a', secretAccessKey: 's' };
    const litestream = { LITESTREAM_ACCESS_KEY_ID: 'la', LITESTREAM_SECRET_ACCESS_KEY: 'ls' };
    expect(resolveSettings({ ...options, ...own }, litestream).credentials).toEqual(own);
    expect(resolveSettings(options, litestream).credentials).toEqual({ accessKeyId: 'la', secretAccessKey: 'ls' });
    expect(resolveSettings(options, { ...litestream, AWS_ACCESS_KEY_ID: 'x' }).credentials).toBeUndefined();
  });

  test.each([
    [{ partSize: 1024 }, /part size/],
    [{ sseCustomerKey: 'abc' }, /sse-customer-key must be/],
    [{ sseCustomerKey: Buffer.alloc(16).toString('base64') }, /256-bit/],
    [{ sseCustomerKey: Buffer.alloc(32).toString('base64'), sseKmsKeyId: 'k' }, /both/],
    [{ sseCustomerKey: Buffer.alloc(32).toString('base64'), sseCustomerAlgorithm: 'DES' }, /AES256/],
    [{ sseCustomerKey: Buffer.alloc(32).toString('base64'), endpoint: 'http://example.com' }, /HTTPS/],
    [{ sseCustomerKeyPath: '/nowhere/key' }, /cannot read/],
  ])('%o is refused', (wrong, message) => {
    expect(() => resolveSettings({ ...options, ...wrong }, {})).toThrow(message);
  });
});
