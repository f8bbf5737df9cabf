/** A malformed listing fails one call, with a code, and not the process. */
import type { AddressInfo } from 'node:net';
import { type ReplicaClient, guardClient, isLitestreamError } from '@litestream/core';
import { expect, it } from 'vitest';
import { httpServer } from '../../../tests/support/http-server.ts';
import { GcsReplicaClient } from '../src/gcs-client.ts';

async function listed(body: string): Promise<unknown> {
  return await answered(body, async (client) => await Array.fromAsync(client.ltxFiles(0, {})));
}

async function answered(body: string, ask: (client: ReplicaClient) => Promise<unknown>): Promise<unknown> {
  const server = httpServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = guardClient(new GcsReplicaClient({ bucket: 'b', path: 'app', endpoint }, {}), {
    retry: { attemptCountMax: 1 },
  });
  try {
    return await ask(client);
  } catch (error) {
    return error;
  } finally {
    await client[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
  }
}

const NAME = 'app/ltx/0/0000000000000001-0000000000000001.ltx';

it.each([
  'null',
  '7',
  '[]',
  '<html>log in</html>',
  '{"items":{}}',
  '{"items":[{}]}',
  '{"items":[null]}',
  '{"items":[],"nextPageToken":"again"}',
  '{"items":[],"nextPageToken":{}}',
  `{"items":[{"name":"${NAME}","size":"-1","timeCreated":"2026-01-01T00:00:00Z"}]}`,
  `{"items":[{"name":"${NAME}","size":"1","timeCreated":"yesterday"}]}`,
])('%s', async (body) => {
  const found = await listed(body);
  expect(isLitestreamError(found), JSON.stringify(found)).toBe(true);
  expect(found).toMatchObject({ code: 'UNAVAILABLE', backend: 'gs' });
});

it.each(['', 'null', 'null\n'])(
  'a deletion that is confirmed with 200 and %j, as emulators do, is believed',
  async (body) => {
    const file = { level: 0, minTxid: 1n, maxTxid: 1n };
    expect(await answered(body, async (client) => await client.deleteLtxFiles([file]))).toBe(undefined);
  },
);
