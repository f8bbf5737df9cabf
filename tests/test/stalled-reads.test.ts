/** A body that stops in the middle, on a connection that stays open: the read is aborted and goes on over another one. */
import { randomBytes } from 'node:crypto';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { guardClient, resumableSource } from '@litestream/core';
import { test } from 'vitest';
import { BACKEND_SERVERS } from '../support/backend-servers.ts';

/** More than what lies in buffers between the stall and the reader. */
const SIZE = 6 << 20;
const STALL_AFTER = 1 << 20;

/** Stands before a server. Armed, it lets `STALL_AFTER` bytes of answers through on each connection and then no more. */
class StallingProxy implements AsyncDisposable {
  readonly #server = createServer((socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();
  readonly #target: number;
  stalledCount = 0;
  isArmed: () => boolean = () => false;

  static async before(port: number): Promise<StallingProxy> {
    const proxy = new StallingProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(target: number) {
    this.#target = target;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
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

// Together, since they wait.
test.concurrent.for(Object.keys(BACKEND_SERVERS))('%s', async (name, { expect, onTestFinished }) => {
  const made = await BACKEND_SERVERS[name]?.();
  if (made === undefined) throw new Error(name);
  const { server, port, through } = made;
  onTestFinished(() => server[Symbol.asyncDispose]());
  await using proxy = await StallingProxy.before(port);
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
