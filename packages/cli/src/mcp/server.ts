/** What `mcp-addr` serves: the Model Context Protocol over streamable HTTP, for assistants that look after backups. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { hostname, networkInterfaces } from 'node:os';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type * as sdkModule from '@modelcontextprotocol/server';
import type { Logger } from '@litestream/core';
import { describeError } from '../describe-error.ts';
import { parseAddress } from '../http/address.ts';
import { version } from '../version.ts';
import { CommandRunner } from './command.ts';

const LOOPBACK = '127.0.0.1';
const CLOSE_TIMEOUT_MS = 2000;
const BODY_LENGTH_MAX = 1 << 20;
/** The optional peer of this package: most daemons serve no assistant, and need not install it. */
const SDK = '@modelcontextprotocol/server';

type Sdk = typeof sdkModule;

export interface McpServerOptions {
  /** `host:port` of the config; without a host only this machine is served. */
  readonly addr: string;
  readonly configPath: string;
  readonly noExpandEnv: boolean;
  readonly logger: Logger;
}

interface Parts {
  readonly sdk: Sdk;
  readonly handler: sdkModule.McpHttpHandler;
  readonly commands: CommandRunner;
  /** Under which this server may be asked for. */
  readonly names: string[];
  readonly logger: Logger;
}

export class McpHttpServer {
  readonly #server: Server;
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#server = createServer(
      { requestTimeout: 30_000 },
      (request, response) => void this.#answer(request, response),
    );
  }

  /** Listens. Undefined, and an error in the log, if it cannot: replication does not depend on it. */
  static async start(options: McpServerOptions): Promise<McpHttpServer | undefined> {
    const { addr, logger } = options;
    try {
      const sdk = await loadSdk();
      const { registerTools } = await import('./tools.ts');
      const commands = new CommandRunner();
      const handler = sdk.createMcpHandler(
        () => {
          const server = new sdk.McpServer({ name: 'Litestream MCP Server', version: version() });
          registerTools(server, { ...options, commands });
          return server;
        },
        {
          maxRequestBodySize: BODY_LENGTH_MAX,
          onerror: (error) => logger.debug('mcp request failed', { error: describeError(error) }),
        },
      );
      const { host, port } = parseAddress(addr);
      const server = new McpHttpServer({ sdk, handler, commands, names: namesOf(host), logger });
      await server.#listen(port, host ?? LOOPBACK);
      logger.info('Starting MCP Streamable HTTP server', { addr: server.address });
      return server;
    } catch (error) {
      logger.error('MCP server error', { addr, error: describeError(error) });
      return undefined;
    }
  }

  /** `host:port` that it listens on. */
  get address(): string {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) return '';
    return address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`;
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#parts.commands.close();
    await this.#parts.handler.close();
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_TIMEOUT_MS);
    await promise;
    clearTimeout(timer);
  }

  async #listen(port: number, host: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(port, host, () => resolve());
    await promise;
    this.#server.off('error', reject);
    this.#server.on('error', (error) => this.#parts.logger.error('MCP server error', { error }));
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      await send(await this.#fetch(requestOf(incoming, outgoing)), outgoing);
    } catch (error) {
      // A client that went away is no error of ours.
      if (!outgoing.destroyed) this.#parts.logger.warn('mcp request failed', { error: describeError(error) });
      outgoing.destroy();
    }
  }

  /**
   * A web page in a browser on this machine may send requests here, and by a name that it lets point to this address
   * even read the answers: only names that are ours are served.
   */
  async #fetch(request: Request): Promise<Response> {
    const { sdk, names, handler } = this.#parts;
    const refused = sdk.hostHeaderValidationResponse(request, names) ?? sdk.originValidationResponse(request, names);
    if (refused !== undefined) return refused;
    if (new URL(request.url).pathname !== '/') return new Response('not found\n', { status: 404 });
    return await handler.fetch(request);
  }
}

async function loadSdk(): Promise<Sdk> {
  try {
    return await import('@modelcontextprotocol/server');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new Error(`mcp-addr needs the package ${SDK}, which is not installed. Run: npm i ${SDK}@2`, { cause });
  }
}

/** Under which names this server may be asked for. Bound to every interface, under all that this machine has. */
function namesOf(host: string | undefined): string[] {
  const local = ['localhost', LOOPBACK, '[::1]'];
  if (host === undefined) return local;
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const own = addresses.map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address));
  const everywhere = host === '0.0.0.0' || host === '::';
  return [...local, host.includes(':') ? `[${host}]` : host, ...(everywhere ? [hostname(), ...own] : [])];
}

function requestOf(incoming: IncomingMessage, outgoing: ServerResponse): Request {
  const abort = new AbortController();
  outgoing.once('close', () => abort.abort(new Error('the client went away')));
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const each of typeof value === 'string' ? [value] : (value ?? [])) headers.append(name, each);
  }
  const { method = 'GET', url = '/' } = incoming;
  const body = method === 'GET' || method === 'HEAD' ? null : Readable.toWeb(incoming);
  return new Request(new URL(url, 'http://localhost'), { method, headers, body, signal: abort.signal, duplex: 'half' });
}

async function send(response: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body === null) outgoing.end();
  else await pipeline(Readable.fromWeb(response.body), outgoing);
}
