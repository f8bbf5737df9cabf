/** A server that redirects to another one, or declares entities. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { guardClient } from '@litestream/core';
import { expect, it, onTestFinished } from 'vitest';
import { httpServer } from '../../../tests/support/http-server.ts';
import { WebdavReplicaClient } from '../src/webdav-client.ts';

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server: Server = httpServer((request, response) => {
    request.resume();
    answer(request, response);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function failureOf(url: string): Promise<unknown> {
  const client = guardClient(new WebdavReplicaClient({ url, username: 'user', password: 'secret', path: 'app' }), {
    retry: { attemptCountMax: 1 },
  });
  try {
    return await Array.fromAsync(client.ltxFiles(0, {}));
  } catch (error) {
    return error;
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

it('asks no other server, whatever it is redirected to', async () => {
  const seen: (string | undefined)[] = [];
  const other = await serve((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(207).end('<d:multistatus xmlns:d="DAV:"/>');
  });
  const url = await serve((_request, response) => response.writeHead(307, { location: other }).end());
  expect(await failureOf(url)).toMatchObject({ code: 'CONFIG_INVALID', backend: 'webdav' });
  expect(seen).toEqual([]);
});

it('expands no entities of a document', async () => {
  const bomb = `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "${'a'.repeat(1000)}">]>
    <d:multistatus xmlns:d="DAV:"><d:response><d:href>${'&a;'.repeat(1000)}</d:href></d:response></d:multistatus>`;
  const url = await serve((request, response) => {
    response.writeHead(207, { 'content-type': 'text/xml' });
    response.end(request.headers.depth === '0' ? '<d:multistatus xmlns:d="DAV:"/>' : bomb);
  });
  expect(await failureOf(url)).toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('declares entities') as string,
  });
});
