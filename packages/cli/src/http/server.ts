/** What `addr` serves: metrics, health and the status page. It only reads. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from '@litestream/core';
import { describeError } from '../describe-error.ts';
import { redact } from '../secrets.ts';
import { hostText, parseAddress } from './address.ts';
import { ROUTES } from './routes.ts';
import type { Page, PageContext } from './routes.ts';

export interface StatusServerOptions extends PageContext {
  /** `host:port`, as in the config. */
  readonly addr: string;
  readonly logger: Logger;
}

const CLOSE_TIMEOUT_MS = 2000;

const HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  // The page is one file: nothing is loaded from elsewhere, and nobody frames it.
  'Content-Security-Policy':
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

export class StatusServer {
  readonly #server: Server;
  readonly #options: StatusServerOptions;

  private constructor(options: StatusServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** Listens. Undefined, and an error in the log, if it cannot: replication does not depend on it. */
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

  /** What it listens on: the system's choice where the config says 0. */
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
    await promise;
    this.#server.off('error', reject);
    this.#server.on('error', (error) => this.#options.logger.error('metrics server error', { error }));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const page = await this.#page(request);
    response.writeHead(page.status, { ...HEADERS, 'Content-Type': page.type, ...page.headers });
    // Errors of SDKs may quote what a config holds.
    response.end(request.method === 'HEAD' ? undefined : redact(page.body));
  }

  async #page(request: IncomingMessage): Promise<Page> {
    const url = URL.parse(request.url ?? '/', 'http://localhost');
    const route = url === null ? undefined : ROUTES[url.pathname];
    if (url === null || route === undefined) return text(404, 'not found\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return { ...text(405, 'this server only reads: use GET\n'), headers: { Allow: 'GET, HEAD' } };
    }
    try {
      return await route(this.#options, url.searchParams);
    } catch (error) {
      return text(500, `${describeError(error)}\n`);
    }
  }
}

function text(status: number, body: string): Page {
  return { status, type: 'text/plain; charset=utf-8', body };
}
