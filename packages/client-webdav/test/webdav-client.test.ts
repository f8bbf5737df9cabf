import { randomBytes, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';

import { guardClient } from '@litestream/core';
import type { Body, LtxFileRef } from '@litestream/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { until } from '../../../tests/support/wait.ts';
import { WebdavReplicaClient } from '../src/index.ts';
import type { WebdavOptions } from '../src/index.ts';
import { WebdavTestServer } from './webdav-server.ts';

let server: WebdavTestServer;
beforeEach(async () => {
  server = await WebdavTestServer.start();
});
afterEach(() => server[Symbol.asyncDispose]());

function clientFor(options: Partial<WebdavOptions> = {}): WebdavReplicaClient {
  const { url, username, password } = server;
  return new WebdavReplicaClient({ url, username, password, path: '/deep/down/app', ...options });
}

function file(txid: bigint): LtxFileRef & { timestamp: Date } {
  return { level: 0, minTxid: txid, maxTxid: txid, timestamp: new Date('2026-11-24T01:02:03.650Z') };
}

function bodyOf(bytes: Uint8Array): Body {
  return {
    size: bytes.byteLength,
    open: async function* () {
      for (let from = 0; from < bytes.byteLength; from += 65_536) yield bytes.subarray(from, from + 65_536);
    },
  };
}

function requestCount(request: string): number {
  return server.requests.filter((one) => one === request).length;
}

/** Names of stored files, without folders. */
function storedFiles(): string[] {
  return [...server.entries].filter(([, { bytes }]) => bytes !== undefined).map(([name]) => name);
}

const FOLDER = '/deep/down/app/ltx/0';

describe('collections', () => {
  test('missing parents (409) are made, each once, however many writers wait for them', async () => {
    await using client = clientFor();
    await Promise.all([1n, 2n, 3n, 4n, 5n].map((txid) => client.writeLtxFile(file(txid), bodyOf(Buffer.from('x')))));
    // Refused for want of a parent, then made; the first has one.
    expect(requestCount('MKCOL /deep')).toBe(1);
    for (const path of ['/deep/down', '/deep/down/app', '/deep/down/app/ltx', FOLDER]) {
      expect(requestCount(`MKCOL ${path}`), path).toBe(2);
    }
    expect(storedFiles()).toHaveLength(5);
  });

  test.each([403, 423, 500, 405])('another client that makes the same one: status %i is no failure', async (status) => {
    await using client = clientFor();
    await client.init();
    const raced = new Set<string>();
    server.fault = (method, path) => {
      if (method !== 'MKCOL' || raced.has(path)) return undefined;
      raced.add(path);
      if (!server.entries.has(path.slice(0, path.lastIndexOf('/')))) return 409;
      server.makeFolder(path);
      return status;
    };
    await client.writeLtxFile(file(1n), bodyOf(Buffer.from('x')));
    expect(await Array.fromAsync(client.ltxFiles(0))).toHaveLength(1);
  });

  test('one that may not be made is refused in the end, and nothing is left', async () => {
    await using client = clientFor({ path: '/app' });
    await client.init();
    server.fault = (method) => (method === 'MKCOL' ? 403 : undefined);
    const write = client.writeLtxFile(file(1n), bodyOf(Buffer.from('x')));
    await expect(write).rejects.toMatchObject({ code: 'PERMISSION_DENIED', retryable: false, hint: /./ });
    expect(storedFiles()).toEqual([]);
  });

  test.each([
    ['409, as Apache says', 409],
    ['500, as nginx says', 500],
  ])('one that somebody removed is made again: %s', async (_, status) => {
    await using client = clientFor();
    await client.writeLtxFile(file(1n), bodyOf(Buffer.from('x')));
    for (const name of server.entries.keys()) if (name !== '') server.entries.delete(name);
    server.fault = (method, path) =>
      method === 'PUT' && !server.entries.has(path.slice(0, path.lastIndexOf('/'))) ? status : undefined;
    await client.writeLtxFile(file(2n), bodyOf(Buffer.from('y')));
    expect(storedFiles()).toEqual([`${FOLDER}/0000000000000002-0000000000000002.ltx`]);
  });
});

describe('a file that is replaced by several writers at once', () => {
  const older = bodyOf(Buffer.from('older'));
  const newer = bodyOf(Buffer.from('newer'));

  test('is moved again where the server found nothing to delete', async () => {
    await using client = clientFor();
    await client.writeLtxFile(file(1n), older);
    let refused = 0;
    server.fault = (method) => (method === 'MOVE' && refused++ < 2 ? 404 : undefined);
    await client.writeLtxFile(file(1n), newer);
    expect(Buffer.concat(await Array.fromAsync(await client.openLtxFile(file(1n)))).toString()).toBe('newer');
    expect(storedFiles()).toHaveLength(1);
  });

  test('is not moved again once its temporary file is gone', async () => {
    await using client = clientFor();
    await client.writeLtxFile(file(1n), older);
    let moves = 0;
    server.fault = (method, path) => {
      if (method !== 'MOVE') return undefined;
      moves++;
      server.entries.delete(path);
      return 404;
    };
    await expect(client.writeLtxFile(file(1n), newer)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(moves).toBe(1);
  });
});

describe('the connection', () => {
  test.each(['PUT', 'MOVE', 'GET', 'PROPFIND'])('that breaks at a %s is made again by a retry', async (method) => {
    await using client = guardClient(clientFor(), { retry: { attemptCountMax: 3, delayMsMin: 1, delayMsMax: 4 } });
    const bytes = randomBytes(300_000);
    await client.writeLtxFile(file(1n), bodyOf(Buffer.from('older')));
    let broken = 0;
    server.fault = (asked) => (asked === method && broken++ === 0 ? 0 : undefined);
    await client.writeLtxFile(file(1n), bodyOf(bytes));
    expect(await Array.fromAsync(client.ltxFiles(0))).toMatchObject([{ size: bytes.length }]);
    expect(Buffer.concat(await Array.fromAsync(await client.openLtxFile(file(1n)))).equals(bytes)).toBe(true);
    expect(broken).toBeGreaterThan(0);
    expect(storedFiles()).toHaveLength(1);
  });

  test('is closed when a transfer is aborted, and no part of the file stays', async () => {
    await using client = clientFor();
    await client.writeLtxFile(file(1n), bodyOf(randomBytes(8_000_000)));
    for (let round = 0; round < 10; round++) {
      const controller = new AbortController();
      const body: Body = {
        size: 2_000_000,
        open: async function* () {
          yield Buffer.alloc(1_000_000);
          controller.abort(new Error('enough'));
          yield Buffer.alloc(1_000_000);
        },
      };
      const write = client.writeLtxFile(file(2n), body, { signal: controller.signal });
      await expect(write).rejects.toThrow('enough');
      const reader = new AbortController();
      const read = async (): Promise<void> => {
        for await (const _ of await client.openLtxFile(file(1n), { signal: reader.signal })) {
          reader.abort(new Error('enough'));
        }
      };
      await expect(read()).rejects.toThrow('enough');
    }
    expect(storedFiles()).toEqual([`${FOLDER}/0000000000000001-0000000000000001.ltx`]);
    // One that waits for its next request is no leak.
    await until('the connections to be closed', async () => (await server.connectionCount()) <= 2);
    await client[Symbol.asyncDispose]();
    await until('the last connections to be closed', async () => (await server.connectionCount()) === 0);
  });
});

describe('Digest', () => {
  beforeEach(() => {
    server.login = 'digest';
  });

  test('a login that the server answers with a new one-time number now and then', async () => {
    await using client = clientFor();
    const bytes = randomBytes(200_000);
    for (const txid of [1n, 2n, 3n]) {
      await client.writeLtxFile(file(txid), bodyOf(bytes));
      server.nonce = randomUUID();
    }
    expect(await Array.fromAsync(client.ltxFiles(0))).toHaveLength(3);
    server.nonce = randomUUID();
    expect(Buffer.concat(await Array.fromAsync(await client.openLtxFile(file(3n)))).equals(bytes)).toBe(true);
    server.nonce = randomUUID();
    await client.deleteAll();
    expect(storedFiles()).toEqual([]);
  });

  test('a wrong password is refused once, and not shown', async () => {
    await using client = clientFor({ password: 'battery staple' });
    const error: unknown = await client.init().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'UNAUTHORIZED', retryable: false, hint: /webdav-password/ });
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('battery staple');
  });
});

test('a server that asks for a login where none is configured', async () => {
  await using client = clientFor({ username: undefined, password: undefined });
  await expect(client.init()).rejects.toMatchObject({ code: 'UNAUTHORIZED', retryable: false });
});
