/** Who may read the status server, and what cannot exhaust it. */
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isAllowedHost } from '../src/http/access.ts';
import { ReplicaListings } from '../src/http/listings.ts';
import { MemoryClient } from '@litestream/core/testing';
import { scratchFolder, start, until } from './support/cli.ts';
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
