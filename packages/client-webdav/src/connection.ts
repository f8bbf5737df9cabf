import { Agent as HttpAgent } from 'node:http';
import type { ClientRequest } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { posix } from 'node:path';
import type { Readable } from 'node:stream';

import { LitestreamError, classifyNetworkError, loadSdk, malformedAnswer, trustedTls } from '@litestream/core';
import type { WebDAVClient } from 'webdav';

import { WebdavStatusError } from './errors.ts';
import { multistatusReader } from './multistatus.ts';
import type { DavEntry, ReadMultistatus } from './multistatus.ts';
import type { WebdavOptions } from './options.ts';

const SOCKETS_MAX = 16;

export interface WebdavRequest {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Readable | string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WebdavResponse {
  readonly status: number;
  header(name: string): string | undefined;
  readonly body: Readable;
  text(): Promise<string>;
}

interface ConnectionFacts {
  readonly baseUrl: string;
  /** Folder of the replica, which may not exist yet. Its parent may be a web site without WebDAV. */
  readonly probePath: string;
  readonly agents: readonly [HttpAgent, HttpsAgent];
  readonly parse: ReadMultistatus;
}

/** The SDK, its login and its sockets. Paths are absolute, not encoded, and below the configured URL. */
export class WebdavConnection {
  readonly #client: WebDAVClient;
  readonly #facts: ConnectionFacts;
  /** False: the server has no MOVE. */
  canMove = true;
  /** The server requires a path, not a URL, as the destination of a MOVE. */
  movesToPath = false;
  /** The login is Digest: the server may refuse and replace its nonce at any request. */
  readonly digest: boolean;

  /** Loads the SDK, finds out which login the server requires, and verifies the password. */
  static async open(options: WebdavOptions, signal?: AbortSignal): Promise<WebdavConnection> {
    const sdk = await loadSdk('webdav', () => import('webdav'));
    const { url, username, password } = splitUrl(options);
    // Honours HTTP(S)_PROXY and NO_PROXY.
    const agentOptions = { keepAlive: true, maxSockets: SOCKETS_MAX, proxyEnv: process.env };
    const agents: [HttpAgent, HttpsAgent] = [
      onlyTo(url, new HttpAgent(agentOptions)),
      onlyTo(
        url,
        new HttpsAgent({
          ...agentOptions,
          ...trustedTls(options.env),
          rejectUnauthorized: options.skipVerify !== true,
        }),
      ),
    ];
    const common = { httpAgent: agents[0], httpsAgent: agents[1] };
    const parse = await multistatusReader();
    const facts = { baseUrl: url, probePath: posix.join('/', options.path ?? '', '/'), agents, parse };
    const bare = new WebdavConnection(sdk.createClient(url, common), facts, false);
    try {
      const challenge = await bare.#probe(signal);
      if (username === undefined) {
        if (challenge !== undefined) throw new WebdavStatusError('PROPFIND', 401);
        return bare;
      }
      const digest = /\bdigest\b/i.test(challenge ?? '') && !/\bbasic\b/i.test(challenge ?? '');
      const authType = (digest ? 'digest' : 'password') as NonNullable<
        Parameters<typeof sdk.createClient>[1]
      >['authType'];
      const client = sdk.createClient(url, {
        ...common,
        username,
        password: password ?? '',
        ...(authType === undefined ? {} : { authType }),
      });
      const opened = new WebdavConnection(client, facts, digest);
      if ((await opened.#probe(signal)) !== undefined) throw new WebdavStatusError('PROPFIND', 401);
      return opened;
    } catch (error) {
      bare.close();
      throw error;
    }
  }

  private constructor(client: WebDAVClient, facts: ConnectionFacts, digest: boolean) {
    this.#client = client;
    this.#facts = facts;
    this.digest = digest;
  }

  /** Sends a request. Rejects with `WebdavStatusError` for a status of 400 or more, except those in `allowed`. */
  async request(
    method: string,
    path: string,
    options: WebdavRequest = {},
    allowed: readonly number[] = [],
  ): Promise<WebdavResponse> {
    let response;
    try {
      response = await this.#client.customRequest(path, {
        method,
        // The SDK would drop the trailing slash of a folder, and many servers redirect such a request.
        url: this.urlOf(path),
        headers: { ...options.headers },
        ...(options.body === undefined ? {} : { data: options.body }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
    } catch (error) {
      // The SDK attaches the whole response, which must be read or dropped to free its socket.
      response = (error as { response?: Awaited<ReturnType<WebDAVClient['customRequest']>> }).response;
      if (response === undefined) throw error;
    }
    const { body } = response as unknown as { body: Readable };
    const { status, headers } = response;
    // With Digest, the SDK returns status 401 like a success.
    if (status >= 400 && !allowed.includes(status)) {
      // A web server reports in the body that it speaks TLS only.
      const words = status === 400 ? await textOf(body).catch(() => '') : '';
      body.destroy();
      const error = new WebdavStatusError(method, status);
      const meant = classifyNetworkError(new Error(words));
      throw meant === undefined ? error : new LitestreamError(error.message, { ...meant, backend: 'webdav' });
    }
    return { status, body, header: (name) => headers.get(name) ?? undefined, text: () => textOf(body) };
  }

  /** Sends a request whose answer is only a status. */
  async call(
    method: string,
    path: string,
    options: WebdavRequest = {},
    allowed: readonly number[] = [],
  ): Promise<number> {
    const response = await this.request(method, path, options, allowed);
    await response.text();
    return response.status;
  }

  /** A folder and its direct entries. `undefined` if the folder does not exist. */
  async list(path: string, signal?: AbortSignal): Promise<DavEntry[] | undefined> {
    const headers = { Depth: '1', Accept: 'text/xml,application/xml' };
    const response = await this.request('PROPFIND', `${path}/`, { headers, signal }, [404]);
    const text = await textOf(response.body);
    if (response.status === 404) return undefined;
    if (response.status !== 207) throw malformedAnswer('webdav', 'it is not a valid listing');
    return this.#facts.parse(text);
  }

  /** Whether a file exists. */
  async exists(path: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.call('HEAD', path, { signal }, [404, 409])) < 300;
  }

  /** The URL of a path, for a Destination header. */
  urlOf(path: string): string {
    return this.#facts.baseUrl + path.split('/').map(encodeURIComponent).join('/');
  }

  close(): void {
    for (const agent of this.#facts.agents) agent.destroy();
  }

  /** Sends a request that every login may do. */
  async ping(signal?: AbortSignal): Promise<WebdavResponse> {
    const headers = { Depth: '0' };
    return await this.request('PROPFIND', this.#facts.probePath, { headers, signal }, [401, 404, 409]);
  }

  /** The server's challenge if it refuses this login; `undefined` if it accepts it. */
  async #probe(signal?: AbortSignal): Promise<string | undefined> {
    const response = await this.ping(signal);
    await response.text();
    if (response.status < 400 && response.status !== 207) throw malformedAnswer('webdav', 'it is not a WebDAV answer');
    return response.status === 401 ? (response.header('www-authenticate') ?? '') : undefined;
  }
}

/** In bytes, for one folder; each file takes about 600. */
const LISTING_SIZE_MAX = 256 * 2 ** 20;

async function textOf(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LISTING_SIZE_MAX) throw malformedAnswer('webdav', `a listing of more than ${LISTING_SIZE_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Returns an agent that sends requests only to the server of the URL: the HTTP library follows redirects, and would send the
 * login along.
 */
function onlyTo<Agent extends HttpAgent>(url: string, agent: Agent): Agent {
  const { protocol, hostname, port } = new URL(url);
  const isHttps = protocol === 'https:';
  const wanted = `${hostname.replace(/^\[|\]$/g, '')}:${port === '' ? (isHttps ? '443' : '80') : port}`;
  const inner = agent as unknown as { addRequest: AddRequest };
  const addRequest = inner.addRequest.bind(agent);
  inner.addRequest = (request, options, ...rest) => {
    const { host = '', port: toPort = '' } = options;
    const isSame = `${host.replace(/^\[|\]$/g, '')}:${toPort}` === wanted && agent instanceof HttpsAgent === isHttps;
    if (isSame) addRequest(request, options, ...rest);
    // Throws, because a request without a socket does not report its error.
    else throw Object.assign(new Error('the server redirects elsewhere'), { type: 'no-redirect' });
  };
  return agent;
}

/** Node calls this for each request through an agent. It is undocumented, but agent libraries depend on it. */
type AddRequest = (
  request: ClientRequest,
  options: { host?: string; port?: number | string },
  ...rest: unknown[]
) => void;

/** Separates the login from the URL: the HTTP library refuses URLs with a login. */
function splitUrl(options: WebdavOptions): { url: string; username: string | undefined; password: string | undefined } {
  const url = new URL(options.url);
  const username = options.username ?? (url.username === '' ? undefined : decodeURIComponent(url.username));
  const password = options.password ?? (url.password === '' ? undefined : decodeURIComponent(url.password));
  url.username = '';
  url.password = '';
  return { url: url.href.replace(/\/+$/, ''), username, password };
}
