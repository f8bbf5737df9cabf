/** A server in clear that is asked in TLS, and the other way round: the error says what to write. */
import type { AddressInfo } from 'node:net';

import { AbsReplicaClient } from '@litestream/client-abs';
import { GcsReplicaClient } from '@litestream/client-gcs';
import { OssReplicaClient } from '@litestream/client-oss';
import { S3ReplicaClient } from '@litestream/client-s3';
import { WebdavReplicaClient } from '@litestream/client-webdav';
import { guardClient } from '@litestream/core';
import type { ReplicaClient } from '@litestream/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { httpServer } from '../support/http-server.ts';

const SENTENCES = {
  nginx: 'The plain HTTP request was sent to HTTPS port',
  Apache: 'You are speaking plain HTTP to an SSL-enabled server port.',
  Go: 'Client sent an HTTP request to an HTTPS server.',
};
let sentence = '';
const server = httpServer((request, response) => {
  request.resume();
  response.writeHead(400, { 'content-type': 'text/html' }).end(`<html><body>${sentence}<br></body></html>`);
});
let host: string;
beforeAll(async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const place = { bucket: 'bucket', path: 'app' };
const keys = { accessKeyId: 'id', secretAccessKey: 'secret' };
const clients: Readonly<Record<string, (endpoint: string) => ReplicaClient>> = {
  s3: (endpoint) => new S3ReplicaClient({ ...place, endpoint, ...keys }, {}),
  oss: (endpoint) => new OssReplicaClient({ ...place, endpoint, ...keys }, {}),
  abs: (endpoint) =>
    new AbsReplicaClient({ ...place, endpoint: `${endpoint}/me`, accountName: 'me', accountKey: 'YQ==' }, {}),
  gs: (endpoint) => new GcsReplicaClient({ ...place, endpoint }, {}),
  webdav: (endpoint) => new WebdavReplicaClient({ url: endpoint, path: 'app' }),
};

async function list(type: string, endpoint: string): Promise<unknown> {
  const client = clients[type]?.(endpoint) as ReplicaClient;
  await using guarded = guardClient(client, { retry: { attemptCountMax: 1 } });
  return await Array.fromAsync(guarded.ltxFiles(0, {}));
}

describe.each(Object.keys(clients))('%s', (type) => {
  test('a server in clear, asked in TLS', async () => {
    await expect(list(type, `https://${host}`)).rejects.toMatchObject({
      code: 'NETWORK',
      retryable: false,
      hint: expect.stringContaining('http://') as string,
    });
  });

  test.each(Object.entries(SENTENCES))('a server of TLS, asked in clear: %s', async (_name, words) => {
    sentence = words;
    await expect(list(type, `http://${host}`)).rejects.toMatchObject({
      code: 'NETWORK',
      retryable: false,
      hint: expect.stringContaining('https://') as string,
    });
  });
});

test.each(['s3', 'oss'])('%s: an address without a scheme is asked in TLS', async (type) => {
  // Not one of the addresses that are taken for local ones.
  const local = host.replace('127.0.0.1', '127.0.0.2');
  await expect(list(type, type === 's3' ? local : host)).rejects.toMatchObject({ code: 'NETWORK' });
});
