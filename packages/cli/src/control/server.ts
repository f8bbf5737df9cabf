/** The control socket of a daemon: HTTP over a Unix socket, as in Litestream (Go). */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Logger } from '@litestream/core';
import { describeError } from '../util/describe-error.ts';
import { boundedServer } from '../http/bounded-server.ts';
import { redact } from '../util/secrets.ts';
import { BodyError } from './decode.ts';
import { goJson } from './go-json.ts';
import { serveProfile } from './profile.ts';
import { ROUTES } from './routes.ts';
import type { RouteContext, RouteResponse } from './routes.ts';
import { clearSocket, listenOn } from './socket-file.ts';

const BODY_SIZE_MAX = 1 << 20;
const CLOSE_TIMEOUT_MS = 5000;
const PROFILES = '/debug/pprof/';

export interface ControlServerOptions extends Omit<RouteContext, 'startedAt'> {
  readonly path: string;
  readonly permissions: number;
  /** Whether clients may take a heap snapshot, which contains every secret. */
  readonly heapSnapshots: boolean;
  readonly logger: Logger;
}

export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #logger: Logger;
  readonly #server: Server;
  #startedAt = new Date();

  private constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ system: 'server' });
    this.#server = boundedServer((request, response) => void this.#answer(request, response));
  }

  /** Listens. If that fails, logs a warning and resolves to undefined: replication does not depend on it. */
  static async start(options: ControlServerOptions): Promise<ControlServer | undefined> {
    const { path, permissions, logger } = options;
    const server = new ControlServer(options);
    try {
      await clearSocket(path);
      await listenOn(server.#server, path, permissions);
    } catch (error) {
      logger.warn('failed to start control server', { error: describeError(error) });
      return undefined;
    }
    server.#startedAt = new Date();
    server.#logger.info('control socket listening', { path });
    return server;
  }

  /** Accepts no more requests; running ones get five seconds. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_TIMEOUT_MS);
    await closed;
    clearTimeout(timer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (error) {
      this.#logger.error('control request failed', { path: request.url, error });
      if (response.headersSent) response.destroy();
      else sendJson(response, { status: 500, body: { error: describeError(error) } });
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    if (pathname.startsWith(PROFILES)) {
      if (method !== 'GET') sendText(response, 405, 'Method Not Allowed', { Allow: 'GET, HEAD' });
      else if (!(await serveProfile(pathname.slice(PROFILES.length), this.#options, request, response))) {
        sendText(response, 404, 'Unknown profile');
      }
      return;
    }
    const route = Object.hasOwn(ROUTES, pathname) ? ROUTES[pathname] : undefined;
    if (route === undefined) {
      sendText(response, 404, '404 page not found');
    } else if (method === route.method) {
      const { daemon, stop, endpoints } = this.#options;
      sendJson(
        response,
        await handled(() =>
          this.#handle(route, { request, response, query: searchParams }, { daemon, stop, endpoints }),
        ),
      );
    } else {
      sendText(response, 405, 'Method Not Allowed', { Allow: route.method === 'GET' ? 'GET, HEAD' : 'POST' });
    }
  }

  async #handle(
    route: (typeof ROUTES)[string],
    { request, response, query }: { request: IncomingMessage; response: ServerResponse; query: URLSearchParams },
    context: Omit<RouteContext, 'startedAt'>,
  ): Promise<RouteResponse> {
    const body = route.method === 'POST' ? await bodyOf(request) : '';
    const left = new AbortController();
    response.once('close', () => left.abort(new Error('the client went away')));
    return await route.handle({ ...context, startedAt: this.#startedAt }, { query, body, signal: left.signal });
  }
}

async function handled(handle: () => Promise<RouteResponse>): Promise<RouteResponse> {
  try {
    return await handle();
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
    return { status: 400, body: { error: 'invalid request body', details: redact(error.message) } };
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_SIZE_MAX) throw new BodyError('the body is too large');
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > BODY_SIZE_MAX) request.destroy(new BodyError('the body is too large'));
  });
  return await text(request);
}

function sendJson(response: ServerResponse, { status, body }: RouteResponse): void {
  const content = goJson(body);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(content) });
  response.end(content);
}

function sendText(
  response: ServerResponse,
  status: number,
  content: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...headers,
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
    'Content-Length': Buffer.byteLength(content) + 1,
  });
  response.end(`${content}\n`);
}
