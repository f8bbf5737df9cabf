/** Answers that do not end: a listing fails before they fill the memory. */
import type { AddressInfo } from 'node:net';
import { guardClient } from '@litestream/core';
import { expect, onTestFinished, test } from 'vitest';
import { BACKEND_SERVERS } from '../support/backend-servers.ts';
import { httpServer } from '../support/http-server.ts';

const CHUNK = Buffer.alloc(1 << 20, '<Contents><Key>0000/a.ltx</Key></Contents>');
/** Bytes that the server sends until the client closes the connection. */
const SENT_MAX = 300 << 20;

test.each((process.env['BACKENDS'] ?? 's3 gs webdav abs oss').split(' '))('%s', async (name) => {
  let sentMax = 0;
  const server = httpServer((incoming, outgoing) => {
    incoming.resume();
    outgoing.on('error', () => undefined);
    outgoing.writeHead(incoming.method === 'PROPFIND' ? 207 : 200, {
      'Content-Type': name === 'gs' ? 'application/json' : 'application/xml',
      'x-oss-request-id': '1',
      'x-ms-request-id': '1',
    });
    let sent = 0;
    const send = (): void => {
      // More would prove nothing.
      while (!outgoing.destroyed && sent < 2 * SENT_MAX) {
        sent += CHUNK.length;
        sentMax = Math.max(sentMax, sent);
        if (!outgoing.write(CHUNK)) return void outgoing.once('drain', send);
      }
      outgoing.destroy();
    };
    send();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const made = await BACKEND_SERVERS[name]?.();
  if (made === undefined) throw new Error(name);
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await made.server[Symbol.asyncDispose]();
  });
  await using client = guardClient(made.through((server.address() as AddressInfo).port));
  await expect(Array.fromAsync(client.ltxFiles(0))).rejects.toThrow(/^(s3|gs|webdav|abs|oss): /);
  expect(sentMax).toBeLessThan(SENT_MAX);
});
