/** A captive portal: passes requests on, and answers some of them with its login page, under status 200. */
import { request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { httpServer } from './http-server.ts';

const PAGE = '<!doctype html><html><head><title>Welcome</title></head><body>Please log in</body></html>';

/** What else a portal sends: a page from a file has an ETag, one from a program may have nothing at all. */
const KINDS: readonly Readonly<Record<string, string>>[] = [
  { 'content-type': 'text/html; charset=utf-8', 'content-length': String(PAGE.length) },
  { 'content-type': 'text/html', 'content-length': String(PAGE.length), etag: '"5f3-1a2b"' },
  { 'content-type': 'application/xhtml+xml' },
  {},
];

export const LOGIN_PAGE_KINDS: number = KINDS.length;

export class LoginPage implements AsyncDisposable {
  readonly port: number;
  /** Requests since `arm`. */
  count = 0;
  #server: Server;
  #isMine: (index: number) => boolean = () => false;
  #kind = 0;

  static async before(port: number): Promise<LoginPage> {
    const server = httpServer();
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, '127.0.0.1', resolve);
    await promise;
    return new LoginPage(server, port);
  }

  private constructor(server: Server, upstream: number) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('request', (incoming, outgoing) => {
      if (this.#isMine(this.count++)) this.#answer(incoming, outgoing);
      else this.#pass(upstream, incoming, outgoing);
    });
  }

  /** From now on, the requests that `isMine` names by number, from 0, get the page. */
  arm(kind: number, isMine: (index: number) => boolean): void {
    this.count = 0;
    this.#kind = kind;
    this.#isMine = isMine;
  }

  /** Passes everything on. */
  disarm(): void {
    this.#isMine = () => false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  /** Portals read the request to its end, and answer a HEAD as a GET without its page. */
  #answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    incoming.resume();
    incoming.on('end', () => {
      outgoing.writeHead(200, KINDS[this.#kind]);
      outgoing.end(incoming.method === 'HEAD' ? undefined : PAGE);
    });
  }

  #pass(upstream: number, incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method, url, headers } = incoming;
    const forwarded = request({ host: '127.0.0.1', port: upstream, method, path: url, headers }, (answer) => {
      const { location, ...rest } = answer.headers;
      const own = `http://127.0.0.1:${this.port}`;
      const moved = location === undefined ? {} : { location: location.replace(/^http:\/\/127\.0\.0\.1:\d+/, own) };
      outgoing.writeHead(answer.statusCode ?? 500, { ...rest, ...moved });
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  }
}
