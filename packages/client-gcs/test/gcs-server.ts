/**
 * A small Google Cloud Storage for tests, over node:http, in memory: its JSON API as far as the client uses it, with
 * generations, conditions of uploads and deletes, resumable sessions, and failures on demand. It asks for no token, as
 * emulators do. `npm run test:services` proves it faithful by running the same suite on fake-gcs-server.
 */
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What a test makes go wrong with one request. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly message: string }
  /** The connection is reset before anything is answered. */
  | { readonly kind: 'reset' }
  /** The connection is reset after this many bytes of the body of an answer. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Of the body of a part, this many bytes arrive; then 503. */
  | { readonly kind: 'half'; readonly bytes: number }
  /** No answer ever. */
  | { readonly kind: 'stall' };

export interface Call {
  readonly method: string;
  /** `list`, `media`, `metadata`, `delete`, `multipart`, `session`, `part`, `close`. */
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface StoredObject {
  readonly body: Buffer;
  readonly generation: number;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>> | undefined;
  readonly updated: string;
}

interface Resource {
  readonly name: string;
  readonly contentType?: string;
  readonly metadata?: Record<string, string>;
}

interface Session {
  readonly resource: Resource;
  readonly query: URLSearchParams;
  body: Buffer;
}

class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | object;
}

export class GcsTestServer implements AsyncDisposable {
  readonly objects: Map<string, StoredObject> = new Map();
  /** Resumable sessions that are open. */
  readonly sessions: Map<string, Session> = new Map();
  readonly calls: Call[] = [];
  readonly sockets: Set<Socket> = new Set();
  /** Decides before each request whether it fails. */
  fault: (call: Call) => Fault | undefined = () => undefined;
  #generation = 1_000;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<GcsTestServer> {
    const server = createServer();
    const self = new GcsTestServer(server);
    server.on('request', (request, response) => void self.#handle(request, response));
    server.on('connection', (socket) => {
      self.sockets.add(socket);
      socket.once('close', () => self.sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return self;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Names in the order Google lists them: by bytes. */
  names(): string[] {
    return [...this.objects.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => undefined);
    try {
      const call = await readCall(request);
      this.calls.push(call);
      const fault = this.fault(call);
      if (fault?.kind === 'stall') return;
      if (fault?.kind === 'reset') return void request.socket.resetAndDestroy();
      if (fault?.kind === 'status') throw new Refusal(fault.status, fault.message);
      if (fault?.kind === 'half') this.#append(call, fault.bytes);
      const { status, headers = {}, body = Buffer.alloc(0) } = this.#answer(call);
      const json = !(body instanceof Buffer);
      const bytes = json ? Buffer.from(JSON.stringify(body)) : body;
      const type = json ? { 'content-type': 'application/json; charset=UTF-8' } : {};
      response.writeHead(status, { ...type, 'content-length': String(bytes.byteLength), ...headers });
      if (fault?.kind === 'cut') {
        response.write(bytes.subarray(0, fault.afterBytes), () => request.socket.resetAndDestroy());
      } else response.end(bytes);
    } catch (error) {
      if (!(error instanceof Refusal)) return void request.socket.destroy();
      const body = JSON.stringify({ error: { code: error.status, message: error.message } });
      response.writeHead(error.status, {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
      });
      response.end(body);
    }
  }

  #answer(call: Call): Answer {
    if (call.operation === 'part') return this.#part(call);
    if (call.operation === 'close') {
      this.sessions.delete(call.query.get('upload_id') ?? '');
      return { status: 499 };
    }
    if (call.bucket !== 'litestream') throw new Refusal(404, 'The specified bucket does not exist.');
    switch (call.operation) {
      case 'list':
        return this.#list(call.query);
      case 'multipart': {
        const { resource, body } = readMultipart(call);
        return { status: 200, body: this.#store(resource, call.query, body) };
      }
      case 'session': {
        const id = randomUUID();
        const resource = JSON.parse(call.body.toString()) as Resource;
        this.sessions.set(id, { resource, query: call.query, body: Buffer.alloc(0) });
        const location = `${this.endpoint}/upload/storage/v1/b/${call.bucket}/o?uploadType=resumable&upload_id=${id}`;
        return { status: 200, headers: { location } };
      }
      default:
        return this.#object(call);
    }
  }

  #object(call: Call): Answer {
    const object = this.objects.get(call.key);
    if (object === undefined) throw new Refusal(404, `No such object: ${call.bucket}/${call.key}`);
    if (call.operation === 'metadata') return { status: 200, body: resourceOf(call.key, object) };
    if (call.operation === 'delete') {
      checkCondition(call.query, object);
      this.objects.delete(call.key);
      return { status: 204 };
    }
    const headers = {
      'x-goog-generation': String(object.generation),
      'last-modified': new Date(object.updated).toUTCString(),
    };
    const range = /^bytes=(\d+)-(\d*)$/.exec(call.headers.range ?? '');
    if (range === null) return { status: 200, headers, body: object.body };
    const total = object.body.byteLength;
    const start = Number(range[1]);
    const end = Math.min(range[2] === '' ? total : Number(range[2]) + 1, total);
    if (start >= total) throw new Refusal(416, 'Request range not satisfiable');
    const contentRange = `bytes ${start}-${end - 1}/${total}`;
    return {
      status: 206,
      headers: { ...headers, 'content-range': contentRange },
      body: object.body.subarray(start, end),
    };
  }

  #list(query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? '';
    const start = Buffer.from(query.get('pageToken') ?? query.get('startOffset') ?? '');
    const found = this.names().filter(
      (name) => name.startsWith(prefix) && Buffer.compare(Buffer.from(name), start) >= 0,
    );
    const limit = Math.min(Number(query.get('maxResults') ?? 1000), 1000);
    const items = found.slice(0, limit).flatMap((name) => {
      const object = this.objects.get(name);
      return object === undefined ? [] : [resourceOf(name, object)];
    });
    const next = found[limit];
    return {
      status: 200,
      body: { kind: 'storage#objects', items, ...(next === undefined ? {} : { nextPageToken: next }) },
    };
  }

  #part(call: Call): Answer {
    const session = this.sessions.get(call.query.get('upload_id') ?? '');
    if (session === undefined) throw new Refusal(404, 'No such session');
    const [, start = '', total = ''] =
      /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(String(call.headers['content-range'])) ?? [];
    if (start !== '') {
      if (Number(start) !== session.body.byteLength) throw new Refusal(503, 'wrong offset');
      if (total === '*' && call.body.byteLength % (256 * 1024) !== 0)
        throw new Refusal(400, 'part is no multiple of 256 KiB');
      session.body = Buffer.concat([session.body, call.body]);
    }
    if (total !== '*' && session.body.byteLength === Number(total)) {
      this.sessions.delete(call.query.get('upload_id') ?? '');
      return { status: 200, body: this.#store(session.resource, session.query, session.body) };
    }
    const size = session.body.byteLength;
    return { status: 308, headers: size === 0 ? {} : { range: `bytes=0-${size - 1}` } };
  }

  /** Takes the beginning of a part, then fails. */
  #append(call: Call, bytes: number): never {
    const session = this.sessions.get(call.query.get('upload_id') ?? '');
    if (session !== undefined) session.body = Buffer.concat([session.body, call.body.subarray(0, bytes)]);
    throw new Refusal(503, 'Backend Error');
  }

  #store(resource: Resource, query: URLSearchParams, body: Buffer): object {
    checkCondition(query, this.objects.get(resource.name));
    const { name, contentType = 'application/octet-stream', metadata } = resource;
    const object = { body, contentType, metadata, generation: ++this.#generation, updated: new Date().toISOString() };
    this.objects.set(name, object);
    return resourceOf(name, object);
  }
}

function checkCondition(query: URLSearchParams, object: StoredObject | undefined): void {
  const wanted = query.get('ifGenerationMatch');
  if (wanted === null || Number(wanted) === (object?.generation ?? 0)) return;
  throw new Refusal(412, 'At least one of the pre-conditions you specified did not hold.');
}

function resourceOf(name: string, object: StoredObject): object {
  const { body, generation, contentType, metadata, updated } = object;
  const size = String(body.byteLength);
  return {
    kind: 'storage#object',
    name,
    size,
    generation: String(generation),
    contentType,
    metadata,
    updated,
    timeCreated: updated,
  };
}

async function readCall(request: IncomingMessage): Promise<Call> {
  const url = new URL(request.url ?? '/', 'http://server');
  const path = /^\/(upload\/)?storage\/v1\/b\/([^/]+)\/o(?:\/([^/]+))?$/.exec(url.pathname);
  const [, upload, bucket = '', key = ''] = path ?? [];
  const { searchParams: query } = url;
  const method = request.method ?? 'GET';
  return {
    method,
    operation: upload === undefined ? plainOperation(method, key, query) : uploadOperation(method, query),
    bucket: decodeURIComponent(bucket),
    key: decodeURIComponent(key) || (query.get('name') ?? ''),
    query,
    headers: request.headers,
    body: Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)),
  };
}

function plainOperation(method: string, key: string, query: URLSearchParams): string {
  if (key === '') return 'list';
  if (method === 'DELETE') return 'delete';
  return query.get('alt') === 'media' ? 'media' : 'metadata';
}

function uploadOperation(method: string, query: URLSearchParams): string {
  if (method === 'DELETE') return 'close';
  if (method === 'PUT') return 'part';
  return query.get('uploadType') === 'resumable' ? 'session' : 'multipart';
}

function readMultipart(call: Call): { resource: Resource; body: Buffer } {
  const boundary = /boundary="?([^";]+)/.exec(call.headers['content-type'] ?? '')?.[1] ?? '';
  const head = call.body.indexOf('\r\n\r\n') + 4;
  const second = call.body.indexOf(`\r\n--${boundary}\r\n`, head);
  const start = call.body.indexOf('\r\n\r\n', second + 2) + 4;
  const resource = JSON.parse(call.body.subarray(head, second).toString()) as Resource;
  return { resource, body: call.body.subarray(start, call.body.lastIndexOf(`\r\n--${boundary}--`)) };
}
