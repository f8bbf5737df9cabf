/**
 * A small WebDAV server for tests, in memory, on node:http: what npm alone can give. It answers as Apache does, without
 * locks. `npm run test:services` runs the same suite on Apache and nginx.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { httpServer } from '../../../tests/support/http-server.ts';

interface Entry {
  /** Undefined for a collection. */
  readonly bytes?: Buffer;
  readonly etag: string;
  readonly modified: Date;
}

const REALM = 'dav';

export class WebdavTestServer implements AsyncDisposable {
  readonly username = 'litestream';
  password = 'correct horse';
  /** By path, without a slash at the end; the root is the empty path. */
  readonly entries: Map<string, Entry> = new Map();
  /** Requests so far, `METHOD /path`. */
  readonly requests: string[] = [];
  /** Decides before each request whether it fails, with which status; 0 breaks the connection. */
  fault: (method: string, path: string) => number | undefined = () => undefined;
  /** The address it takes for its own, behind a proxy. Default: where it listens. */
  address: string | undefined;
  /** What it says of a file that it moved. RFC 4918 says 201 or 204. */
  movedStatus: number | undefined;
  /** Lists missing properties of an entry before the ones it has. */
  missingFirst = false;
  /** How it wants the password. */
  login: 'basic' | 'digest' = 'basic';
  /** The one-time number of Digest; another one makes that of every client stale. */
  nonce: string = randomUUID();
  readonly #server: Server;
  #writes = 0;

  static async start(): Promise<WebdavTestServer> {
    const server = new WebdavTestServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  private constructor() {
    this.#put('', undefined);
    this.#server = httpServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections that are open now. */
  async connectionCount(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }

  /** Makes a collection, as another client would. */
  makeFolder(path: string): void {
    this.#put(path, undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', headers } = request;
    const path = pathOf(request.url ?? '/');
    this.requests.push(`${method} ${path}`);
    const fault = this.fault(method, path);
    if (fault === 0) return void request.socket.destroy();
    if (!this.#isLoggedIn(method, request.url ?? '', headers.authorization ?? '')) {
      const digest = `Digest realm="${REALM}", nonce="${this.nonce}", algorithm=MD5, qop="auth"`;
      const challenge = this.login === 'basic' ? `Basic realm="${REALM}"` : digest;
      return void response.writeHead(401, { 'WWW-Authenticate': challenge }).end();
    }
    const elsewhere =
      fault !== undefined && fault >= 300 && fault < 400 ? { Location: `http://127.0.0.1:1${path}` } : {};
    if (fault !== undefined) return void response.writeHead(fault, elsewhere).end();
    // Whatever comes before it has come whole, or the request throws and stores nothing.
    const body = await collect(request);
    const status = (code: number): void => void response.writeHead(code).end();
    if (this.#isFolder(path) && !(request.url ?? '').endsWith('/')) {
      return void response.writeHead(301, { Location: `${this.address ?? this.url}${path}/` }).end();
    }
    switch (method) {
      case 'OPTIONS':
        return status(200);
      case 'HEAD':
        return status(this.entries.has(path) ? 200 : 404);
      case 'PROPFIND':
        return this.#list(path, headers['depth'] === '0', response);
      case 'GET':
        return this.#get(path, headers.range, response);
      case 'MKCOL':
        if (this.entries.has(path)) return status(405);
        if (!this.#isFolder(parentOf(path))) return status(409);
        this.#put(path, undefined);
        return status(201);
      case 'PUT': {
        if (headers['content-length'] === undefined) return status(411);
        if (!this.#isFolder(parentOf(path))) return status(409);
        const known = this.entries.has(path);
        if (known && headers['if-none-match'] === '*') return status(412);
        this.#put(path, body);
        return status(known ? 204 : 201);
      }
      case 'MOVE': {
        const found = this.entries.get(path);
        const destination = String(headers['destination']);
        const address = this.address ?? this.url;
        if (!destination.startsWith('/') && new URL(destination).origin !== new URL(address).origin) return status(502);
        const to = pathOf(new URL(destination, address).pathname);
        if (found === undefined) return status(404);
        if (!this.#isFolder(parentOf(to))) return status(409);
        const known = this.entries.has(to);
        if (known && headers['overwrite'] === 'F') return status(412);
        this.entries.delete(path);
        this.entries.set(to, found);
        return status(this.movedStatus ?? (known ? 204 : 201));
      }
      case 'DELETE': {
        if (!this.entries.has(path)) return status(404);
        for (const name of this.entries.keys()) {
          if (name === path || name.startsWith(`${path}/`)) this.entries.delete(name);
        }
        return status(204);
      }
      default:
        return status(405);
    }
  }

  #isLoggedIn(method: string, url: string, authorization: string): boolean {
    const { username, password, nonce } = this;
    if (this.login === 'basic') {
      return authorization === `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    }
    const given = Object.fromEntries(
      [...authorization.matchAll(/(\w+)=(?:"([^"]*)"|([^",\s]+))/g)].map(([, name = '', a, b]) => [name, a ?? b ?? '']),
    );
    const { nc = '', cnonce = '', qop = '', uri = '', response } = given;
    const proof = [md5(`${username}:${REALM}:${password}`), nonce, nc, cnonce, qop, md5(`${method}:${uri}`)];
    return uri === url && given['nonce'] === nonce && response === md5(proof.join(':'));
  }

  #put(path: string, bytes: Buffer | undefined): void {
    const common = { etag: `"${++this.#writes}"`, modified: new Date() };
    this.entries.set(path, bytes === undefined ? common : { ...common, bytes });
  }

  #isFolder(path: string): boolean {
    const entry = this.entries.get(path);
    return entry !== undefined && entry.bytes === undefined;
  }

  #get(path: string, range: string | undefined, response: ServerResponse): void {
    const { bytes, etag } = this.entries.get(path) ?? {};
    if (bytes === undefined || etag === undefined) return void response.writeHead(404).end();
    const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
    if (match === null) return void response.writeHead(200, { 'Content-Length': bytes.length, ETag: etag }).end(bytes);
    const start = Number(match[1]);
    if (start >= bytes.length) return void response.writeHead(416).end();
    const part = bytes.subarray(start, match[2] === '' ? bytes.length : Number(match[2]) + 1);
    const place = `bytes ${start}-${start + part.length - 1}/${bytes.length}`;
    response.writeHead(206, { 'Content-Length': part.length, 'Content-Range': place, ETag: etag }).end(part);
  }

  #list(path: string, alone: boolean, response: ServerResponse): void {
    if (!this.entries.has(path)) return void response.writeHead(404).end();
    const names = [...this.entries.keys()].filter(
      (name) => name === path || (!alone && name !== '' && parentOf(name) === path),
    );
    const rows = names.map((name) => rowOf(name, this.entries.get(name), this.missingFirst));
    const text = `<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">${rows.join('')}</D:multistatus>`;
    response.writeHead(207, { 'Content-Type': 'application/xml' }).end(text);
  }
}

function rowOf(path: string, entry: Entry | undefined, missingFirst: boolean): string {
  const encoded = path.split('/').map(encodeURIComponent).join('/').replaceAll("'", '%27');
  const facts =
    entry?.bytes === undefined
      ? '<D:resourcetype><D:collection/></D:resourcetype>'
      : `<D:resourcetype/><D:getcontentlength>${entry.bytes.length}</D:getcontentlength><D:getetag>${entry.etag}</D:getetag>`;
  const href = `<D:href>${encoded}${entry?.bytes === undefined ? '/' : ''}</D:href>`;
  const time = `<D:getlastmodified>${entry?.modified.toUTCString()}</D:getlastmodified>`;
  const status = '<D:status>HTTP/1.1 200 OK</D:status>';
  const missing = missingFirst
    ? '<D:propstat><D:prop><D:getcontentlength/><D:getcontenttype/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>'
    : '';
  return `<D:response>${href}${missing}<D:propstat><D:prop>${facts}${time}</D:prop>${status}</D:propstat></D:response>`;
}

/** RFC 7616 leaves MD5 to old servers, and they are what there is. */
function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

function pathOf(url: string): string {
  return decodeURIComponent(url).replace(/\/+$/, '');
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

async function collect(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) parts.push(chunk);
  return Buffer.concat(parts);
}
