/** The server at `mcp-addr`: the Model Context Protocol over streamable HTTP, for assistants that manage backups. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type * as sdkModule from '@modelcontextprotocol/server';
import type { Logger } from '@litestream/core';
import type { DatabaseConfig } from '../config/types.ts';
import { clearSocket, listenOn } from '../control/socket-file.ts';
import { describeError } from '../util/describe-error.ts';
import { isAllowedHost, showsToken } from '../config/access.ts';
import { boundedServer } from '../http/bounded-server.ts';
import { addressError } from '../http/listen-errors.ts';
import { mcpAddressOf } from './address.ts';
import type { McpAddress } from './address.ts';
import { CommandRunner } from './command.ts';
import { loadSdk, MESSAGE_LENGTH_MAX, serverFactory } from './sdk.ts';
import type { Sdk } from './sdk.ts';

const SOCKET_PERMISSIONS = 0o600;
const CLOSE_TIMEOUT_MS = 2000;
export interface McpServerOptions {
  /** `host:port` or `unix:PATH`, as in the config. */
  readonly addr: string;
  readonly token: string | undefined;
  readonly configPath: string;
  readonly noExpandEnv: boolean;
  /** The databases of the config as last read. */
  readonly databases: () => readonly DatabaseConfig[];
  /** The folder for restored databases. */
  readonly outputDir: string | undefined;
  readonly logger: Logger;
}

interface Parts {
  readonly sdk: Sdk;
  readonly handler: sdkModule.McpHttpHandler;
  readonly commands: CommandRunner;
  readonly address: McpAddress;
  readonly logger: Logger;
}

export class McpHttpServer {
  readonly #server: Server;
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#server = boundedServer((request, response) => void this.#answer(request, response));
  }

  /** Listens. If that fails, logs an error and resolves to undefined: replication does not depend on it. */
  static async start(options: McpServerOptions): Promise<McpHttpServer | undefined> {
    const { addr, token, logger } = options;
    try {
      const address = mcpAddressOf(addr, token);
      const { sdk } = await loadSdk('mcp-addr');
      const commands = new CommandRunner();
      const handler = sdk.createMcpHandler(await serverFactory(sdk, { ...options, commands }), {
        maxRequestBodySize: MESSAGE_LENGTH_MAX,
        onerror: (error) => logger.debug('mcp request failed', { error: describeError(error) }),
      });
      const server = new McpHttpServer({ sdk, handler, commands, address, logger });
      await server.#listen();
      logger.info('Starting MCP Streamable HTTP server', { addr: server.address });
      return server;
    } catch (error) {
      logger.error('MCP server error', { addr, error: describeError(error) });
      return undefined;
    }
  }

  /** `host:port` that it listens on, or the path of its socket. */
  get address(): string {
    const address = this.#server.address();
    if (typeof address === 'string') return `unix://${address}`;
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

  async #listen(): Promise<void> {
    const { address } = this.#parts;
    if (address.kind === 'socket') {
      await clearSocket(address.path);
      await listenOn(this.#server, address.path, SOCKET_PERMISSIONS);
    } else {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#server.once('error', reject);
      this.#server.listen(address.port, address.host, () => resolve());
      await promise.catch((error: NodeJS.ErrnoException) => {
        throw addressError(address, error);
      });
      this.#server.off('error', reject);
    }
    this.#server.on('error', (error) => this.#parts.logger.error('MCP server error', { error }));
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      const refusal = this.#refusalOf(incoming);
      if (refusal === undefined) await send(await this.#fetch(requestOf(incoming, outgoing)), outgoing);
      // Do not wait for the rest of the request.
      else outgoing.writeHead(refusal.status, { Connection: 'close', ...refusal.headers }).end(`${refusal.text}\n`);
    } catch (error) {
      // A client that disconnected is not an error of the server.
      if (!outgoing.destroyed) this.#parts.logger.warn('mcp request failed', { error: describeError(error) });
      outgoing.destroy();
    }
  }

  /**
   * Over TCP, a web page in a browser on this machine can send requests here, and by DNS rebinding even read the answers.
   * So only names of this machine are served. The token keeps out other users of the machine.
   */
  #refusalOf(request: IncomingMessage): Refusal | undefined {
    const { address } = this.#parts;
    if (address.kind === 'socket') return undefined;
    const { host, origin } = request.headers;
    const rule = { bound: address.host, names: [] };
    const from = origin === undefined ? undefined : (URL.parse(origin)?.host ?? '');
    if (!isAllowedHost(host, rule)) return { status: 403, text: 'this name is not served' };
    if (from !== undefined && !isAllowedHost(from, rule))
      return { status: 403, text: 'pages of this origin are not served' };
    if (showsToken(request, address.token)) return undefined;
    return {
      status: 401,
      text: 'show the mcp-token of the config as Authorization: Bearer',
      headers: { 'WWW-Authenticate': 'Bearer' },
    };
  }

  async #fetch(request: Request): Promise<Response> {
    if (new URL(request.url).pathname !== '/') return new Response('not found\n', { status: 404 });
    return await this.#parts.handler.fetch(request);
  }
}

interface Refusal {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
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
