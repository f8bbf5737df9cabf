import { createHmac } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';

import { guardClient, silentLogger } from '@litestream/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { pause, until } from '../../../tests/support/wait.ts';
import { parseSftpConfig, sftp } from '../src/index.ts';
import { startAgent } from './agent.ts';
import { newKeyPair } from './key-pair.ts';
import { SftpTestServer } from './sftp-server.ts';
import { clientFor, file, randomBody, readAll } from './support.ts';

const PERMISSION_DENIED = 3;
const FAILURE = 4;
let server: SftpTestServer;

beforeEach(async () => {
  server = await SftpTestServer.start();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

test('a file lies where Go puts it, with the commit time, in whole seconds, as its modification time', async () => {
  await using client = clientFor(server);
  const written = await client.writeLtxFile(file(0x1fn, 9), randomBody(1000).body);
  const name = 'app/ltx/9/000000000000001f-000000000000001f.ltx';
  expect(await server.files()).toEqual([name]);
  const time = new Date('2026-11-24T01:02:03Z');
  expect((await stat(join(server.data, name))).mtime).toEqual(time);
  expect(written).toEqual({ level: 9, minTxid: 0x1fn, maxTxid: 0x1fn, size: 1000, timestamp: time });
  expect(await Array.fromAsync(client.ltxFiles(9))).toEqual([written]);
});

describe('login', () => {
  test('with a password, asked for either way', async () => {
    for (const promptOnly of [false, true]) {
      server.promptOnly = promptOnly;
      await using client = clientFor(server, { keyPath: undefined, password: server.password });
      await expect(client.init()).resolves.toBeUndefined();
    }
  });

  test('with the key of an agent, which is asked only where nothing else is configured', async () => {
    await using agent = await startAgent(server.folder, await readFile(server.keyPath));
    const { host, user, password, hostKey, data: path } = server;
    const open = async (login: object): Promise<void> => {
      const context = { logger: silentLogger, env: { SSH_AUTH_SOCK: agent.socket }, folder: server.folder };
      const config = parseSftpConfig({ host, user, 'host-key': hostKey, path, ...login });
      await using client = await sftp().create(config, context);
      await client.init();
    };
    await open({});
    expect(agent.signed()).toBe(1);
    await open({ password });
    await open({ 'key-path': 'id_ed25519' });
    expect(agent.signed()).toBe(1);
    await open({ agent: agent.socket });
    expect(agent.signed()).toBe(2);
  });

  test('with an agent that is not there, or holds another key, is refused', async () => {
    const other = Buffer.from(newKeyPair().private);
    await using agent = await startAgent(server.folder, other);
    for (const socket of [agent.socket, join(server.folder, 'nothing.sock')]) {
      await using client = clientFor(server, { keyPath: undefined, agent: socket });
      await expect(client.init()).rejects.toMatchObject({ code: 'UNAUTHORIZED', retryable: false, hint: /./ });
    }
  });

  test.each([
    ['a wrong password', { keyPath: undefined, password: 'wrong horse' }, 'UNAUTHORIZED'],
    ['a missing key file', { keyPath: '/nonexistent/id' }, 'CONFIG_INVALID'],
    ['a host key that is none', { hostKey: 'ssh-ed25519' }, 'CONFIG_INVALID'],
  ])('%s is refused', async (_name, options, code) => {
    await using client = clientFor(server, options);
    await expect(client.init()).rejects.toMatchObject({ code, retryable: false });
  });

  test('a key file that holds no key is refused, and not quoted', async () => {
    const keyPath = join(server.folder, 'garbage');
    await writeFile(keyPath, 'SECRET-GARBAGE');
    await using client = clientFor(server, { keyPath });
    const error: unknown = await client.init().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(inspect(error)).not.toContain('SECRET-GARBAGE');
  });

  test('the password is in no error and no inspection', async () => {
    await using client = clientFor(server, { keyPath: undefined, password: 'battery staple' });
    const error: unknown = await client.init().catch((reason: unknown) => reason);
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('battery staple');
    expect(inspect(client, { depth: Infinity })).not.toContain('battery staple');
  });
});

describe('the host key', () => {
  const other = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDguGv66PyFBUbvpSpqgWSekvLc4bhDozo4nqO+04ufH';

  async function knownHosts(...lines: string[]): Promise<string> {
    const path = join(server.folder, 'known_hosts');
    await writeFile(path, lines.map((line) => `${line}\n`).join(''));
    return path;
  }
  const nameOf = (): string => server.host.replace(/^(.*):(.*)$/, '[$1]:$2');

  test('another one than configured is refused', async () => {
    await using client = clientFor(server, { hostKey: other });
    await expect(client.init()).rejects.toMatchObject({ code: 'UNAUTHORIZED', message: /not the configured one/ });
  });

  test('an unknown one is refused, with the line to put into the config', async () => {
    await using client = clientFor(server, { hostKey: undefined, knownHostsPath: await knownHosts('# nothing') });
    const error: unknown = await client.init().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'UNAUTHORIZED', message: /unknown/ });
    expect((error as { hint: string }).hint).toContain(server.hostKey.split(' ').slice(0, 2).join(' '));
  });

  test('a changed one is refused, and the hint names the file where the old one stands', async () => {
    const knownHostsPath = await knownHosts(`${nameOf()} ${other}`);
    await using client = clientFor(server, { hostKey: undefined, knownHostsPath });
    const error: unknown = await client.init().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'UNAUTHORIZED', retryable: false, message: /not the known one/ });
    expect((error as { hint: string }).hint).toContain(knownHostsPath);
  });

  test('one in known_hosts is taken: plain, hashed, by pattern', async () => {
    const hash = createHmac('sha1', 'salt').update(nameOf()).digest('base64');
    const hashed = `|1|${Buffer.from('salt').toString('base64')}|${hash}`;
    for (const name of [nameOf(), `elsewhere,${nameOf()}`, hashed, '[127.0.0.?]:*']) {
      const knownHostsPath = await knownHosts(`other.example ${other}`, `${name} ${server.hostKey}`);
      await using client = clientFor(server, { hostKey: undefined, knownHostsPath });
      await expect(client.init()).resolves.toBeUndefined();
    }
  });

  test('one that known_hosts has another for, excludes, or revokes is refused', async () => {
    for (const [line, message] of [
      [`${nameOf()} ${other}`, /not the known one/],
      [`*,!${nameOf()} ${server.hostKey}`, /unknown/],
      [`@revoked ${nameOf()} ${server.hostKey}`, /revoked/],
      [`@cert-authority ${nameOf()} ${server.hostKey}`, /unknown/],
    ] as const) {
      await using client = clientFor(server, { hostKey: undefined, knownHostsPath: await knownHosts(line) });
      await expect(client.init()).rejects.toMatchObject({ code: 'UNAUTHORIZED', message });
    }
  });

  test('it is not checked if the user says so', async () => {
    await using client = clientFor(server, { hostKey: undefined, skipVerify: true });
    await expect(client.init()).resolves.toBeUndefined();
  });
});

describe('the connection', () => {
  test('is shared by the clients of one server, and ends with the last of them', async () => {
    const clients = ['a', 'b', 'c'].map((path) => clientFor(server, { path: `${server.data}/${path}` }));
    await Promise.all(clients.map((client) => client.writeLtxFile(file(1n), randomBody(10).body)));
    expect(server.connectionCount).toBe(1);
    await clients[0]?.[Symbol.asyncDispose]();
    await clients[0]?.[Symbol.asyncDispose]();
    await clients[1]?.[Symbol.asyncDispose]();
    expect(await Array.fromAsync(clients[2]?.ltxFiles(0) ?? [])).toHaveLength(1);
    await clients[2]?.[Symbol.asyncDispose]();
    await until('the connection to be closed', () => server.connections.size === 0);
  });

  test('is made again after it was lost, by one login however many wait for it', async () => {
    await using client = clientFor(server);
    await expect(client.init()).resolves.toBeUndefined();
    server.drop();
    await until('the connection to be closed', () => server.connections.size === 0);
    // Each pause is a turn of the event loop, however long the machine stops this process.
    for (let turn = 0; turn < 10; turn += 1) await pause(2, 'the client hears of it in one of its next turns');
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => client.writeLtxFile(file(BigInt(i + 1)), randomBody(10).body)),
    );
    expect(server.connectionCount).toBe(2);
  });

  test('closed by the server while nobody uses it costs the next call of every client nothing but a login', async () => {
    const clients = ['a', 'b', 'c'].map((path) => guardClient(clientFor(server, { path: `${server.data}/${path}` })));
    await Promise.all(clients.map((client) => client.writeLtxFile(file(1n), randomBody(10).body)));
    server.drop();
    // No wait: some calls meet the connection while it is closing.
    const found = await Promise.all(clients.map((client) => Array.fromAsync(client.ltxFiles(0))));
    expect(found.map(({ length }) => length)).toEqual([1, 1, 1]);
    expect(server.connectionCount).toBe(2);
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    await until('the connection to be closed', () => server.connections.size === 0);
  });

  test('lost in the middle of a write: a NETWORK error, and the retry stores the file', async () => {
    const { bytes, body } = randomBody(3_000_000);
    server.fault = (request, _path, count) => (request === 'WRITE' && count === 20 ? 'drop' : undefined);
    await using bare = clientFor(server);
    await expect(bare.writeLtxFile(file(1n), body)).rejects.toMatchObject({ code: 'NETWORK', retryable: true });
    expect(await Array.fromAsync(bare.ltxFiles(0))).toEqual([]);
    server.fault = (request, _path, count) => (request === 'WRITE' && count === 220 ? 'drop' : undefined);
    await using client = guardClient(clientFor(server));
    await client.writeLtxFile(file(1n), body);
    expect(await readAll(await client.openLtxFile(file(1n)))).toEqual(bytes);
  });
});

describe('storing', () => {
  test('an abort mid-transfer removes the temporary file and closes its handle', async () => {
    await using client = clientFor(server);
    const controller = new AbortController();
    const body = {
      open: async function* () {
        for (let count = 0; ; count++) {
          if (count === 20) controller.abort(new Error('enough'));
          yield Buffer.alloc(100_000);
        }
      },
    };
    await expect(client.writeLtxFile(file(1n), body, { signal: controller.signal })).rejects.toThrow('enough');
    expect(await server.files()).toEqual([]);
    expect(server.openHandles).toBe(0);
  });

  test('an abort is answered even by a server that says nothing more', async () => {
    await using client = clientFor(server);
    await expect(client.init()).resolves.toBeUndefined();
    server.fault = (request) => (request === 'WRITE' ? 'stall' : undefined);
    const signal = AbortSignal.timeout(50);
    const reason: unknown = await client
      .writeLtxFile(file(1n), randomBody(10).body, { signal })
      .catch((e: unknown) => e);
    expect(reason).toBe(signal.reason);
  });

  test.each([
    [PERMISSION_DENIED, 'PERMISSION_DENIED', false],
    [FAILURE, 'UNAVAILABLE', true],
  ])('status %i of a write comes out as %s, and nothing is left', async (status, code, retryable) => {
    server.fault = (request, _path, count) => (request === 'WRITE' && count === 3 ? { status } : undefined);
    await using client = clientFor(server);
    const { body } = randomBody(500_000);
    await expect(client.writeLtxFile(file(1n), body)).rejects.toMatchObject({ code, retryable });
    expect(await server.files()).toEqual([]);
  });

  test('a server without extensions gets a plain rename, over an older file too', async () => {
    server.extensions = false;
    await using client = clientFor(server);
    const { bytes, body } = randomBody(5000);
    await client.writeLtxFile(file(1n), randomBody(10).body);
    await client.writeLtxFile(file(1n), body);
    expect(await readAll(await client.openLtxFile(file(1n)))).toEqual(bytes);
    expect(await server.files()).toHaveLength(1);
  });

  test('one write at a time if the user says so', async () => {
    await using client = clientFor(server, { concurrentWrites: false });
    const { bytes, body } = randomBody(300_000);
    await client.writeLtxFile(file(1n), body);
    expect(await readAll(await client.openLtxFile(file(1n)))).toEqual(bytes);
  });
});

test('a reader that leaves early closes its handle', async () => {
  await using client = clientFor(server);
  await client.writeLtxFile(file(1n), randomBody(3_000_000).body);
  for await (const chunk of await client.openLtxFile(file(1n))) if (chunk.length > 0) break;
  await until('the handle to be closed', () => server.openHandles === 0);
  expect(server.openHandles).toBe(0);
});

test('deleteAll leaves foreign files, and the folders they lie in', async () => {
  await using client = clientFor(server);
  await client.writeLtxFile(file(1n), randomBody(10).body);
  await client.writeLtxFile(file(1n, 9), randomBody(10).body);
  await writeFile(join(server.data, 'app/ltx/0/0000000000000002-0000000000000002.ltx.77.00ff.tmp'), 'left over');
  await writeFile(join(server.data, 'app/ltx/9/notes.txt'), 'mine');
  await client.deleteAll();
  expect(await server.files()).toEqual(['app/ltx/9/notes.txt']);
});
