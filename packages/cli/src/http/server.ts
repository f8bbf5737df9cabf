/** The server at `addr`: metrics, health and the status page. It only reads. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from '@litestream/core';
import { describeError } from '../util/describe-error.ts';
import { isAllowedHost, showsToken } from '../config/access.ts';
import { hostText, parseAddress } from './address.ts';
import { boundedServer } from './bounded-server.ts';
import { addressError } from './listen-errors.ts';
import { ReplicaListings } from './listings.ts';
import { ROUTES } from './routes.ts';
import type { Page, PageContext } from './routes.ts';

export interface StatusServerOptions extends Omit<PageContext, 'listings' | 'isTrusted'> {
  /** `host:port`, as in the config. */
  readonly addr: string;
  /** Token that requests must carry; undefined: none. */
  readonly token: string | undefined;
  /** Host names that it answers to, in addition to its own. */
  readonly hosts: readonly string[];
  readonly logger: Logger;
}

const CLOSE_TIMEOUT_MS = 2000;
const IDLE_TIMEOUT_MS = 60_000;

/** Probes have no token, and use any host name that the orchestrator gives; their answer reveals no names. */
const OPEN: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

const HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  // The page is one file: it loads nothing from elsewhere, and no other page may frame it.
  'Content-Security-Policy':
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

export class StatusServer {
  readonly #server: Server;
  readonly #options: StatusServerOptions;
  readonly #listings = new ReplicaListings();
  #hasWarned = false;

  private constructor(options: StatusServerOptions) {
    this.#options = options;
    this.#server = boundedServer((request, response) => void this.#answer(request, response), {
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      endsSlowAnswers: true,
    });
  }

  /** Listens. If that fails, logs an error and resolves to undefined: replication does not depend on it. */
  static async start(options: StatusServerOptions): Promise<StatusServer | undefined> {
    const { addr, logger } = options;
    const server = new StatusServer(options);
    try {
      const address = parseAddress(addr);
      await server.#listen(address.port, address.host);
      const bound = server.port;
      logger.info('serving metrics on', { url: `http://${hostText(address)}:${bound}/metrics` });
      return server;
    } catch (error) {
      logger.error('cannot start metrics server', { error: describeError(error) });
      return undefined;
    }
  }

  /** The port that it listens on: chosen by the system if the config has port 0. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_TIMEOUT_MS);
    await promise;
    clearTimeout(timer);
  }

  async #listen(port: number, host: string | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(port, host, () => resolve());
    await promise.catch((error: NodeJS.ErrnoException) => {
      throw addressError({ host, port }, error);
    });
    this.#server.off('error', reject);
    this.#server.on('error', (error) => this.#options.logger.error('metrics server error', { error }));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const page = await this.#page(request);
    response.writeHead(page.status, { ...HEADERS, 'Content-Type': page.type, ...page.headers });
    response.end(request.method === 'HEAD' ? undefined : page.body);
  }

  /** Guards against DNS rebinding: a web page whose own name resolves to this machine could read the answers. */
  #refusalOf(request: IncomingMessage, path: string): Page | undefined {
    const { addr, hosts, token, logger } = this.#options;
    const { host } = request.headers;
    if (!isAllowedHost(host, { bound: parseAddress(addr).host, names: hosts })) {
      const hint = 'add it to addr-hosts in the config, if it is a name of this machine';
      if (!this.#hasWarned && !OPEN.has(path)) {
        this.#hasWarned = true;
        logger.warn('metrics server asked for by an unknown name, refused', { host, hint });
      }
      return text(403, `this name is not served: ${hint}\n`);
    }
    if (token === undefined || showsToken(request, token)) return undefined;
    return {
      ...text(401, 'show the addr-token of the config as Authorization: Bearer, or as the password of a login\n'),
      headers: { 'WWW-Authenticate': 'Basic realm="litestream", charset="UTF-8"' },
    };
  }

  async #page(request: IncomingMessage): Promise<Page> {
    const url = URL.parse(request.url ?? '/', 'http://localhost');
    const route = url === null ? undefined : ROUTES[url.pathname];
    if (url === null || route === undefined) return text(404, 'not found\n');
    const refusal = this.#refusalOf(request, url.pathname);
    if (refusal !== undefined && !OPEN.has(url.pathname)) return refusal;
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return { ...text(405, 'this server only reads: use GET\n'), headers: { Allow: 'GET, HEAD' } };
    }
    try {
      const isTrusted = refusal === undefined;
      return await route({ ...this.#options, listings: this.#listings, isTrusted }, url.searchParams);
    } catch (error) {
      return text(500, `${describeError(error)}\n`);
    }
  }
}

function text(status: number, body: string): Page {
  return { status, type: 'text/plain; charset=utf-8', body };
}
