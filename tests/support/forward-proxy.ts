/** An HTTP proxy that passes requests on, as companies have them, or wants a login first. */
import { createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';

const USER = 'someone';

/** What a request brings along that logs in with this password. */
export function proxyLogin(password: string): string {
  return `Basic ${Buffer.from(`${USER}:${password}`).toString('base64')}`;
}

export class ForwardProxy implements AsyncDisposable {
  /** The logins requests brought along, one each. */
  readonly logins: string[] = [];
  wantsLogin = false;
  readonly #server = createServer((incoming, outgoing) => {
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

  private constructor() {}

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The environment in which a program uses it, logging in with this password. */
  env(password: string): { readonly HTTP_PROXY: string } {
    return { HTTP_PROXY: `http://${USER}:${password}@127.0.0.1:${this.port}` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
