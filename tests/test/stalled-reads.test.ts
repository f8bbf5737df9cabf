/** A body that stops in the middle, on a connection that stays open: the read is aborted and goes on over another one. */
import { randomBytes } from 'node:crypto';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { guardClient, resumableSource } from '@litestream/core';
import type { ReplicaClient } from '@litestream/core';
import { expect, onTestFinished, test } from 'vitest';
import { Azurite } from '../../packages/client-abs/test/azurite.ts';
import { clientFor as absClient } from '../../packages/client-abs/test/support.ts';
import { GcsTestServer } from '../../packages/client-gcs/test/gcs-server.ts';
import { clientFor as gcsClient } from '../../packages/client-gcs/test/support.ts';
import { OssTestServer } from '../../packages/client-oss/test/oss-server.ts';
import { clientFor as ossClient } from '../../packages/client-oss/test/support.ts';
import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { clientFor as s3Client } from '../../packages/client-s3/test/support.ts';
import { SftpReplicaClient } from '../../packages/client-sftp/src/index.ts';
import { SftpTestServer } from '../../packages/client-sftp/test/sftp-server.ts';
import { WebdavReplicaClient } from '../../packages/client-webdav/src/index.ts';
import { WebdavTestServer } from '../../packages/client-webdav/test/webdav-server.ts';

/** More than what lies in buffers between the stall and the reader. */
const SIZE = 6 << 20;
const STALL_AFTER = 1 << 20;

/** Stands before a server. Armed, it lets `STALL_AFTER` bytes of answers through on each connection and then no more. */
class StallingProxy {
  readonly #server = createServer((socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();
  readonly #target: number;
  stalledCount = 0;
  isArmed: () => boolean = () => false;

  static async before(port: number): Promise<StallingProxy> {
    const proxy = new StallingProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    onTestFinished(async () => {
      for (const socket of proxy.#sockets) socket.destroy();
      await new Promise((resolve) => proxy.#server.close(resolve));
    });
    return proxy;
  }

  private constructor(target: number) {
    this.#target = target;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #accept(near: Socket): void {
    const far = connect(this.#target, '127.0.0.1');
    let passed = 0;
    let isStalled = false;
    for (const socket of [near, far]) this.#sockets.add(socket.on('error', () => undefined));
    near.on('data', (bytes) => far.write(bytes));
    far.on('data', (bytes: Buffer) => {
      passed = this.isArmed() ? passed + bytes.length : 0;
      if (passed < STALL_AFTER && !isStalled) near.write(bytes);
      else if (!isStalled) {
        isStalled = true;
        this.stalledCount += 1;
      }
    });
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  }
}

type Through = (port: number) => ReplicaClient;

/** A server of each backend: its port, and a client that reaches it at another one. */
const SERVERS: Readonly<Record<string, () => Promise<readonly [AsyncDisposable, number, Through]>>> = {
  s3: async () => {
    const server = await S3TestServer.start();
    return [server, portOf(server.endpoint), (port) => s3Client(server, { endpoint: `http://127.0.0.1:${port}` })];
  },
  gs: async () => {
    const server = await GcsTestServer.start();
    return [server, portOf(server.endpoint), (port) => gcsClient(server, { endpoint: `http://127.0.0.1:${port}` })];
  },
  oss: async () => {
    const server = await OssTestServer.start();
    return [server, portOf(server.endpoint), (port) => ossClient(server, { endpoint: `http://127.0.0.1:${port}` })];
  },
  abs: async () => {
    const server = await Azurite.start();
    const through: Through = (port) => absClient(server, { endpoint: server.endpoint.replace(/:\d+\//, `:${port}/`) });
    return [server, portOf(server.endpoint), through];
  },
  sftp: async () => {
    const server = await SftpTestServer.start();
    return [
      server,
      portOf(`ssh://${server.host}`),
      (port) => {
        const { user, keyPath, hostKey, data } = server;
        return new SftpReplicaClient({ host: `127.0.0.1:${port}`, user, keyPath, hostKey, path: `${data}/app` });
      },
    ];
  },
  webdav: async () => {
    const server = await WebdavTestServer.start();
    const { username, password } = server;
    const through: Through = (port) =>
      new WebdavReplicaClient({ url: `http://127.0.0.1:${port}`, username, password, path: 'app' });
    return [server, portOf(server.url), through];
  },
};

test.each(Object.keys(SERVERS))('%s', { timeout: 120_000 }, async (name) => {
  const made = await SERVERS[name]?.();
  if (made === undefined) throw new Error(name);
  const [server, port, through] = made;
  onTestFinished(() => server[Symbol.asyncDispose]());
  const proxy = await StallingProxy.before(port);
  await using client = guardClient(through(proxy.port), { timeoutsMs: { body: 1000 } });
  const content = randomBytes(SIZE);
  const file = { level: 0, minTxid: 1n, maxTxid: 1n, timestamp: new Date('2026-11-24T01:02:03Z') };
  const body = {
    size: SIZE,
    open: async function* () {
      yield content;
    },
  };
  const info = await client.writeLtxFile(file, body);

  // One SSH connection serves all reads, and it takes some 15 s to find out that it is dead.
  proxy.isArmed = () => name !== 'sftp' || proxy.stalledCount === 0;
  expect(Buffer.concat(await Array.fromAsync(resumableSource(client, info))).equals(content)).toBe(true);
  expect(proxy.stalledCount).toBeGreaterThan(name === 'sftp' ? 0 : 4);
});

function portOf(url: string): number {
  return Number(new URL(url).port);
}
