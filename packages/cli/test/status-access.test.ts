/** Who may read the status server, and what cannot exhaust it. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isAllowedHost } from '../src/config/access.ts';
import { boundedServer } from '../src/http/bounded-server.ts';
import { ReplicaListings } from '../src/http/listings.ts';
import { MemoryClient } from '@litestream/core/testing';
import { pause, scratchFolder, start, until } from './support/cli.ts';
import type { Cli } from './support/cli.ts';
import { createDatabase } from './support/database.ts';

const TOKEN = 'a-token-of-the-tests-7c1f';

async function served(extra = ''): Promise<{ url: string; database: string; daemon: Cli }> {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  createDatabase(database, 3);
  const config = join(folder, 'litestream.yml');
  writeFileSync(config, `addr: 127.0.0.1:0\n${extra}dbs: [{path: ${database}, replica: {path: ${folder}/replica}}]\n`);
  const daemon = start(['replicate', '-config', config]);
  await daemon.said(/serving metrics on" url=\S+/);
  const url = /serving metrics on" url=(\S+)\/metrics/.exec(daemon.stdout)?.[1] ?? '';
  return { url, database, daemon };
}

function get(url: string, headers: Readonly<Record<string, string>>): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  request(url, { headers, agent: false }, (response) => {
    text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
  })
    .once('error', reject)
    .end();
  return promise;
}

describe('names', () => {
  test.each([
    ['127.0.0.1:9090', '127.0.0.1', true],
    ['[::1]:9090', '127.0.0.1', true],
    ['localhost:9090', '127.0.0.1', true],
    ['10.1.2.3:9090', undefined, true],
    [hostname(), undefined, true],
    ['litestream:9090', undefined, true],
    ['litestream:9090', '127.0.0.1', false],
    ['evil.example', undefined, false],
    ['evil.example:9090', '127.0.0.1', false],
    ['127.0.0.1.evil.example', '127.0.0.1', false],
    ['localhost.evil.example', '127.0.0.1', false],
    ['metrics.example:9090', undefined, true],
    ['backup.example', 'backup.example', true],
    ['', undefined, false],
    [undefined, undefined, false],
    ['a@evil.example', undefined, false],
  ])('%s, bound to %s: %s', (header, bound, isAllowed) => {
    expect(isAllowedHost(header, { bound, names: ['metrics.example'] })).toBe(isAllowed);
  });

  test('a page of another name reads nothing, probes are answered, and one line says what to set', async () => {
    const { url, database, daemon } = await served('addr-hosts: [metrics.example]\n');
    for (const path of ['/', '/metrics', '/api/status', `/api/files?path=${database}`]) {
      const refused = await get(url + path, { host: 'evil.example' });
      expect(refused, path).toMatchObject({ status: 403, body: expect.stringMatching(/addr-hosts/) });
      expect(refused.body).not.toContain(database);
      for (const host of ['metrics.example', 'localhost:1']) {
        expect(await get(url + path, { host }), path).toMatchObject({ status: 200 });
      }
    }
    expect(await get(`${url}/healthz`, { host: 'evil.example' })).toMatchObject({ status: 200 });
    const ready = await get(`${url}/readyz?max-lag=1ns`, { host: 'evil.example' });
    expect(ready).toEqual({ status: 503, body: 'not ready\n' });
    expect((await get(`${url}/readyz?max-lag=1ns`, {})).body).toContain(database);
    const { stdout } = await daemon.stop();
    expect(stdout.match(/asked for by an unknown name/g)).toHaveLength(1);
  });
});

test('with a token, only probes are open to all', async () => {
  const { url, database, daemon } = await served(`addr-token: ${TOKEN}\n`);
  const basic = `Basic ${Buffer.from(`anyone:${TOKEN}`).toString('base64')}`;
  for (const path of ['/', '/metrics', '/api/status', `/api/files?path=${database}`]) {
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: `Basic ${TOKEN}` }] as const) {
      expect(await get(url + path, headers), path).toMatchObject({ status: 401 });
    }
    for (const authorization of [`Bearer ${TOKEN}`, basic]) {
      expect(await get(url + path, { authorization }), path).toMatchObject({ status: 200 });
    }
  }
  expect(await get(`${url}/healthz`, {})).toMatchObject({ status: 200 });
  expect((await daemon.stop()).stdout).not.toContain(TOKEN);
});

test('connections that say nothing are bounded in number, and end', async () => {
  const { url } = await served();
  const { port } = new URL(url);
  const sockets: Socket[] = [];
  let ended = 0;
  for (let index = 0; index < 200; index += 1) {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined).on('close', () => (ended += 1));
    // Some send nothing, some begin a request that never ends.
    if (index % 2 === 0) socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n');
    socket.resume();
    sockets.push(socket);
  }
  onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
  await until(() => ended >= 200 - 64, 'the connections beyond the bound to be closed');
  await until(() => ended === 200, 'the others to run out of time');
  expect(await get(`${url}/healthz`, {})).toMatchObject({ status: 200 });
});

const held: Readonly<Record<string, string>> = {
  'that send nothing': '',
  'with half a request': 'GET / HTTP/1.1\r\nHost: localhost\r\n',
  'that stay after an answer': 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'that send no body': 'POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n',
  'that send many requests at once': 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(100),
};

test.each(Object.entries(held))('probes are answered while a client has all connections, %s', async (_, request) => {
  const { url } = await served();
  const { port } = new URL(url);
  const answers = async (path: string): Promise<boolean> =>
    (await get(url + path, {}).catch(() => undefined))?.status === 200;
  await until(() => answers('/readyz'), 'the database to be replicated');
  const sockets: Socket[] = [];
  onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
  for (let index = 0; index < 64; index += 1) {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    socket.pause();
    if (request !== '') socket.write(request);
  }
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    expect(await get(url + path, {})).toMatchObject({ status: 200 });
    // The client opens a new connection for each that it loses.
    const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    if (request !== '') socket.write(request);
    socket.pause();
  }
});

test('a server without long answers does not let answers longer than a second block other clients', async () => {
  for (const endsSlowAnswers of [true, false]) {
    const server = boundedServer(
      (asked, response) => {
        if (asked.url !== '/slow') response.end('ok');
      },
      { endsSlowAnswers },
    );
    onTestFinished(() => server.closeAllConnections());
    onTestFinished(() => void server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const asked = Promise.withResolvers<void>();
    let count = 0;
    server.on('request', () => {
      count += 1;
      if (count === 64) asked.resolve();
    });
    let closed = 0;
    for (let index = 0; index < 64; index += 1) {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      onTestFinished(() => void socket.destroy());
      socket.on('close', () => (closed += 1)).resume();
      socket.write('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n');
    }
    await asked.promise;
    const get200 = (): Promise<boolean> =>
      get(`http://127.0.0.1:${port}/`, {}).then(
        ({ status }) => status === 200,
        () => false,
      );
    if (endsSlowAnswers) {
      await until(get200, 'an answer');
      await until(() => closed > 0, 'an end of a slow answer');
    } else {
      await pause(1500, 'longer than a slow answer takes elsewhere');
      expect([await get200(), closed]).toEqual([false, 0]);
    }
  }
});

describe('listings of a replica', () => {
  test('are shared by those who ask at the same time, and kept for a while', async () => {
    const client = new MemoryClient();
    let listings = 0;
    const counted = Object.assign(Object.create(client) as MemoryClient, {
      ltxFiles: (...args: Parameters<typeof client.ltxFiles>) => {
        listings += 1;
        return client.ltxFiles(...args);
      },
    });
    const cache = new ReplicaListings();
    await Promise.all(Array.from({ length: 100 }, () => cache.of(counted)));
    await cache.of(counted);
    // One for each level.
    expect(listings).toBe(10);
  });

  test('of many replicas at once are refused beyond a bound', async () => {
    const cache = new ReplicaListings();
    const asked = await Promise.allSettled(Array.from({ length: 100 }, () => cache.of(new MemoryClient())));
    expect(asked.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
    expect(asked[0]).toMatchObject({ status: 'fulfilled' });
  });
});
