import { parseReplicaUrl } from '@litestream/core';
import { expect, test } from 'vitest';

import { nats, natsConfigFromUrl, parseNatsConfig } from '../src/index.ts';

const fromUrl = (url: string): unknown => parseNatsConfig(natsConfigFromUrl(parseReplicaUrl(url)));

test('the plugin says what it answers to', () => {
  expect(nats()).toMatchObject({
    apiVersion: 1,
    name: '@litestream/client-nats',
    schemes: ['nats'],
    types: ['nats'],
  });
});

test('a URL names server, login and bucket', () => {
  expect(fromUrl('nats://me:p%40ss@host:4223/bucket')).toMatchObject({
    url: ['nats://host:4223'],
    username: 'me',
    password: 'p@ss',
    bucket: 'bucket',
  });
});

test('a config as upstream documents it, durations as texts or nanoseconds', () => {
  const config = {
    type: 'nats',
    bucket: 'b',
    path: 'ignored',
    jwt: 'eyJ',
    seed: 'SU1',
    creds: '/creds',
    nkey: 'U1',
    token: 't',
    tls: true,
    'root-cas': ['/ca1', '/ca2'],
    'client-cert': '/cert',
    'client-key': '/key',
    'max-reconnects': -1,
    'reconnect-wait': '1m30s',
    timeout: 500_000_000,
  };
  expect(parseNatsConfig(config)).toMatchObject({
    bucket: 'b',
    jwt: 'eyJ',
    seed: 'SU1',
    creds: '/creds',
    nkey: 'U1',
    token: 't',
    tls: true,
    rootCas: ['/ca1', '/ca2'],
    clientCert: '/cert',
    clientKey: '/key',
    maxReconnects: -1,
    reconnectWaitMs: 90_000,
    timeoutMs: 500,
  });
});

test.each([
  [{}, 'bucket required for nats replica'],
  [{ bucket: 'a.b' }, 'may hold only letters'],
  [{ bucket: 'b', 'client-cert': '/cert' }, 'client-cert and client-key must both be specified'],
  [{ bucket: 'b', timeout: 'soon' }, 'timeout of the nats replica must be a duration'],
])('%j is refused', (config, message) => {
  expect(() => parseNatsConfig(config)).toThrow(message);
});

test('a server that is not there rejects with NETWORK', async () => {
  const plugin = nats();
  const config = plugin.configSchema.parse({ bucket: 'b', server: 'nats://127.0.0.1:1', 'max-reconnects': 0 });
  const context = { logger: { ...console }, env: {}, folder: '/' };
  await using client = await plugin.create(config, context as unknown as Parameters<typeof plugin.create>[1]);
  await expect(client.init()).rejects.toMatchObject({ code: 'NETWORK', retryable: true });
});
