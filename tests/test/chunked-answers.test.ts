/** Answers without Content-Length, as proxies give them that cut a body into chunks: files are read all the same. */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { guardClient, resumableSource } from '@litestream/core';
import { expect, onTestFinished, test } from 'vitest';
import { BACKEND_SERVERS } from '../support/backend-servers.ts';
import { httpServer } from '../support/http-server.ts';

/** Passes everything on, but takes the length from answers to GET. */
async function proxyBefore(port: number): Promise<{ readonly port: number; readonly count: () => number }> {
  let count = 0;
  const server = httpServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const forwarded = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
      const { 'content-length': length, ...rest } = answer.headers;
      if (method === 'GET') count += 1;
      const kept = method === 'GET' || length === undefined ? rest : { ...rest, 'content-length': length };
      outgoing.writeHead(answer.statusCode ?? 500, kept);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, count: () => count };
}

test.each(Object.keys(BACKEND_SERVERS).filter((name) => name !== 'sftp'))('%s', async (name) => {
  const made = await BACKEND_SERVERS[name]?.();
  if (made === undefined) throw new Error(name);
  const { server, port, through } = made;
  onTestFinished(() => server[Symbol.asyncDispose]());
  const proxy = await proxyBefore(port);
  await using client = guardClient(through(proxy.port));
  const content = randomBytes(100_000);
  const file = { level: 0, minTxid: 1n, maxTxid: 1n, timestamp: new Date('2026-11-24T01:02:03Z') };
  const body = {
    size: content.length,
    open: async function* () {
      yield content;
    },
  };
  await client.writeLtxFile(file, body);
  const [info] = await Array.fromAsync(client.ltxFiles(0));
  if (info === undefined) throw new Error('nothing is listed');
  expect(info.size).toBe(content.length);
  const before = proxy.count();
  expect(Buffer.concat(await Array.fromAsync(resumableSource(client, info))).equals(content)).toBe(true);
  const part = Buffer.concat(await Array.fromAsync(resumableSource(client, info, { offset: 5, size: 10 })));
  expect(part.equals(content.subarray(5, 15))).toBe(true);
  expect(proxy.count()).toBeGreaterThan(before);
  const { objects } = client;
  if (objects === undefined) return;
  await objects.put('lock.json', Buffer.from('{"a":1}'));
  const opened = await objects.open('lock.json');
  expect(Buffer.concat(await Array.fromAsync(opened.body)).toString()).toBe('{"a":1}');
  expect(opened.info.size).toBe(7);
});
