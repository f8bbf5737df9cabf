/** WebDAV as it is deployed: behind proxies, below web sites, on servers that lack parts of the protocol. */
import { guardClient, parseReplicaUrl } from '@litestream/core';
import type { Body, LtxFileRef } from '@litestream/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { WebdavReplicaClient, parseWebdavConfig, webdavConfigFromUrl } from '../src/index.ts';
import type { WebdavOptions } from '../src/index.ts';
import { WebdavTestServer } from './webdav-server.ts';

let server: WebdavTestServer;
beforeEach(async () => {
  server = await WebdavTestServer.start();
});
afterEach(() => server[Symbol.asyncDispose]());

const FILE = '/app/ltx/0/0000000000000001-0000000000000001.ltx';

function clientFor(options: Partial<WebdavOptions> = {}): WebdavReplicaClient {
  const { url, username, password } = server;
  return new WebdavReplicaClient({ url, username, password, path: '/app', ...options });
}

function file(txid: bigint): LtxFileRef & { timestamp: Date } {
  return { level: 0, minTxid: txid, maxTxid: txid, timestamp: new Date('2026-11-24T01:02:03.650Z') };
}

function bodyOf(text: string): Body {
  return {
    size: text.length,
    open: async function* () {
      yield Buffer.from(text);
    },
  };
}

/** Writes two files, lists, reads and deletes them. */
async function roundTrip(client: WebdavReplicaClient): Promise<unknown> {
  for (const txid of [1n, 2n]) await client.writeLtxFile(file(txid), bodyOf(`file ${txid}`));
  const listed = await Array.fromAsync(client.ltxFiles(0));
  const read = Buffer.concat(await Array.fromAsync(await client.openLtxFile(file(2n)))).toString();
  const stored = storedFiles().length;
  await client.deleteAll();
  const found = listed.map(({ minTxid, size }) => ({ minTxid, size }));
  return { listed: found, read, stored, left: storedFiles() };
}

const whole = {
  listed: [
    { minTxid: 1n, size: 6 },
    { minTxid: 2n, size: 6 },
  ],
  read: 'file 2',
  stored: 2,
  left: [],
};

function storedFiles(): string[] {
  return [...server.entries].filter(([, { bytes }]) => bytes !== undefined).map(([name]) => name);
}

function count(method: string): number {
  return server.requests.filter((one) => one.startsWith(`${method} `)).length;
}

describe('behind a proxy', () => {
  test.each([400, 403, 502])(
    'a destination that is another server (%i) is sent as a path, from then on',
    async (status) => {
      server.address = 'http://internal.example:8080';
      // The server itself answers 502.
      server.fault = (method) => (method === 'MOVE' && count('MOVE') === 1 && status !== 502 ? status : undefined);
      await using client = clientFor();
      expect(await roundTrip(client)).toEqual(whole);
      // The first one twice, the second one at once.
      expect(count('MOVE')).toBe(3);
    },
  );

  test('a folder whose URL has no slash is asked with one, and redirects nowhere', async () => {
    server.address = 'http://internal.example:8080';
    server.makeFolder('/dav');
    await using client = clientFor({ url: `${server.url}/dav` });
    await client.writeLtxFile(file(1n), bodyOf('x'));
    expect(storedFiles()).toEqual([`/dav${FILE}`]);
  });

  test('Digest too asks for the folder with its slash', async () => {
    server.login = 'digest';
    server.makeFolder('/dav');
    await using client = clientFor({ url: `${server.url}/dav` });
    await client.writeLtxFile(file(1n), bodyOf('x'));
    expect(storedFiles()).toEqual([`/dav${FILE}`]);
  });
});

describe('below a web site', () => {
  test.each([301, 403, 404, 405])('a site that answers %i at its root holds a replica below', async (status) => {
    for (const path of ['/remote.php', '/remote.php/dav']) server.makeFolder(path);
    server.fault = (_method, path) => (path.startsWith('/remote.php/dav') ? undefined : status);
    const { host } = new URL(server.url);
    const config = webdavConfigFromUrl(
      parseReplicaUrl(`webdav://${server.username}:${encodeURIComponent(server.password)}@${host}/remote.php/dav/app`),
    );
    await using client = new WebdavReplicaClient(parseWebdavConfig(config));
    expect(await roundTrip(client)).toEqual(whole);
  });
});

describe('servers without MOVE', () => {
  test.each([405, 501])('status %i: files are stored in place', async (status) => {
    server.fault = (method) => (method === 'MOVE' ? status : undefined);
    await using client = clientFor();
    expect(await roundTrip(client)).toEqual(whole);
    expect(count('MOVE')).toBe(1);
  });

  test('a file that is there is not replaced where that is forbidden', async () => {
    server.fault = (method) => (method === 'MOVE' ? 501 : undefined);
    await using client = guardClient(clientFor(), { retry: { attemptCountMax: 1 } });
    await client.writeLtxFile(file(1n), bodyOf('old'), { ifNoneMatch: '*' });
    await expect(client.writeLtxFile(file(1n), bodyOf('new'), { ifNoneMatch: '*' })).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
    });
    expect(server.entries.get(FILE)?.bytes?.toString()).toBe('old');
  });

  test('a broken upload leaves nothing, and leaves what was there', async () => {
    server.fault = (method) => (method === 'MOVE' ? 501 : undefined);
    await using client = clientFor();
    await client.writeLtxFile(file(1n), bodyOf('old'));
    server.fault = (method, path) => (method === 'PUT' && path.endsWith('.ltx') ? 0 : undefined);
    for (const txid of [1n, 2n]) {
      await expect(client.writeLtxFile(file(txid), bodyOf('new'))).rejects.toMatchObject({ code: 'NETWORK' });
    }
    expect(storedFiles()).toEqual([FILE]);
    expect(server.requests.filter((one) => one === `DELETE ${FILE}`)).toEqual([]);
  });
});

test('a MOVE that answers 200 has moved the file', async () => {
  server.movedStatus = 200;
  await using client = clientFor();
  expect(await roundTrip(client)).toEqual(whole);
});

test('what an entry has not may stand before what it has', async () => {
  server.missingFirst = true;
  await using client = clientFor();
  expect(await roundTrip(client)).toEqual(whole);
});
