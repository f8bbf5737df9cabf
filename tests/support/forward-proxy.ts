/** An HTTP proxy that passes requests on, as companies have them, or wants a login first. */
import { request as ask } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { httpServer } from './http-server.ts';

const USER = 'someone';

/** What a request brings along that logs in with this password. */
export function proxyLogin(password: string): string {
  return `Basic ${Buffer.from(`${USER}:${password}`).toString('base64')}`;
}

function environment(password: string, port: number): { readonly HTTP_PROXY: string } {
  return { HTTP_PROXY: `http://${USER}:${password}@127.0.0.1:${port}` };
}

/** The environment of a program whose proxy is down: nothing listens on port 1, but something may on the port of a proxy that has ended. */
export function missingProxyEnv(password: string): { readonly HTTP_PROXY: string } {
  return environment(password, 1);
}

export class ForwardProxy implements AsyncDisposable {
  /** The logins requests brought along, one each. */
  readonly logins: string[] = [];
  wantsLogin = false;
  readonly #tunnels = new Set<Socket>();
  readonly #server = httpServer((incoming, outgoing) => {
    this.logins.push(incoming.headers['proxy-authorization'] ?? '');
    if (this.wantsLogin) {
      outgoing.writeHead(407).end();
      return;
    }
    const forward = ask(incoming.url ?? '', { method: incoming.method, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forward.on('error', () => outgoing.destroy());
    incoming.pipe(forward);
  });

  static async start(): Promise<ForwardProxy> {
    const proxy = new ForwardProxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** Some libraries open a tunnel, for plain HTTP as well. */
  private constructor() {
    this.#server.on('connect', (incoming, socket: Socket) => {
      this.logins.push(incoming.headers['proxy-authorization'] ?? '');
      this.#tunnels.add(socket);
      socket.on('error', () => undefined);
      if (this.wantsLogin) {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n');
        return;
      }
      const { hostname, port } = new URL(`http://${incoming.url ?? ''}`);
      const target = connect(Number(port === '' ? 80 : port), hostname, () => {
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        target.pipe(socket).pipe(target);
      });
      this.#tunnels.add(target);
      target.on('error', () => socket.destroy());
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The environment in which a program uses it, logging in with this password. */
  env(password: string): { readonly HTTP_PROXY: string } {
    return environment(password, this.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    for (const socket of this.#tunnels) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
