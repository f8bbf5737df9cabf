/** A server whose greeting is nearly that of NATS or SSH, followed by invalid bytes. */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { mutate } from './hostile-server.ts';
import type { Random } from './random.ts';

const SEEDS: readonly string[] = [
  '',
  'HTTP/1.1 400 Bad Request\r\n\r\n',
  'SSH-2.0-x\r\n',
  'SSH-2.0-x\r\n\0\0\0\x0c\x04\x14',
  'SSH-2.0-x\r\n\xff\xff\xff\xff',
  `${'x'.repeat(9000)}\r\n`,
  'INFO {"server_id":"x","version":"2.10.0","headers":true,"max_payload":1048576}\r\n',
  'INFO {"server_id":"x","version":"2.10.0","headers":true,"max_payload":1048576}\r\nPONG\r\n-ERR \'x\'\r\n',
  'INFO {"server_id":"x","version":"2.10.0","max_payload":-1}\r\nPONG\r\nMSG x 1 5\r\nhello\r\n',
  'INFO null\r\nPONG\r\n',
  'INFO []\r\nPING\r\n',
  'INFO {"connect_urls":[null]}\r\nPONG\r\n+OK\r\n',
];

export class HostileSocket implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(random: Random) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
      socket.write(mutate(random, Buffer.from(random.of(SEEDS), 'latin1')));
      socket.on('data', () => {
        if (random.below(3) === 0) socket.destroy();
        else socket.write(mutate(random, Buffer.from(random.of([...SEEDS, 'PONG\r\n', '+OK\r\n']), 'latin1')));
      });
    });
  }

  static async start(random: Random): Promise<HostileSocket> {
    const made = new HostileSocket(random);
    const { promise, resolve } = Promise.withResolvers<void>();
    made.#server.listen(0, '127.0.0.1', resolve);
    await promise;
    return made;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Not waited for: a client may be connecting at this very moment.
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.resolve();
  }
}
