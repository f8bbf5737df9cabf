/**
 * What the small servers that tests write for a storage protocol have in common: requests read whole and remembered,
 * faults on demand, sockets to count, an end that leaves nothing. A subclass knows the protocol.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { httpServer } from './http-server.ts';

/** What a test makes go wrong with one request. */
export type Fault =
  /** Refused with this status and, in the words of the protocol, this code. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly code: string;
      /** Default: the code. */
      readonly message?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The connection is reset before anything is answered. */
  | { readonly kind: 'reset' }
  /** The connection is reset after this many bytes of the body of an answer. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** No answer ever. */
  | { readonly kind: 'stall' };

/** One request, for tests to look at and to choose faults by. */
export interface Call {
  readonly method: string;
  /** As the protocol's reference names it: `PutObject`, `ListObjectsV2`, … */
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Thrown by a protocol server for a request it does not do. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string = code, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

export function answer(
  status: number,
  body: string | Buffer = '',
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return { status, body: bytes, headers: { 'content-length': String(bytes.byteLength), ...headers } };
}

export abstract class ProtocolServer implements AsyncDisposable {
  readonly calls: Call[] = [];
  readonly sockets: Set<Socket> = new Set();
  /** Decides before each request whether it fails. */
  fault: (call: Call) => Fault | undefined | Promise<Fault | undefined> = () => undefined;
  readonly #server: Server = httpServer();

  protected constructor() {
    this.#server.on('request', (request, response) => void this.#handle(request, response));
    this.#server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /** Listens on loopback, on a free port. */
  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** What is asked for. */
  protected abstract read(request: IncomingMessage, body: Buffer): Call;
  /** Throws a `Refusal` for a request that is not who it says it is. */
  protected abstract authorize(request: IncomingMessage, call: Call): void;
  /** Does it; throws a `Refusal` for what cannot be done. */
  protected abstract answer(call: Call, request: IncomingMessage): Answer | Promise<Answer>;
  /** How the protocol words a refusal. */
  protected abstract refuse(call: Call | undefined, refusal: Refusal): Answer;

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => undefined);
    let call: Call | undefined;
    try {
      call = this.read(request, Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)));
      this.calls.push(call);
      const fault = await this.fault(call);
      if (fault?.kind === 'stall') return;
      if (fault?.kind === 'reset') return void request.socket.resetAndDestroy();
      if (fault?.kind === 'status') throw refusalOf(fault);
      this.authorize(request, call);
      const done = await this.answer(call, request);
      if (fault?.kind !== 'cut') return send(request, response, done);
      response.writeHead(done.status, done.headers);
      response.write(done.body.subarray(0, fault.afterBytes), () => request.socket.resetAndDestroy());
    } catch (error) {
      if (error instanceof Refusal && !response.headersSent) send(request, response, this.refuse(call, error));
      else request.socket.destroy();
    }
  }
}

function refusalOf({ status, code, message = code, headers }: Extract<Fault, { kind: 'status' }>): Refusal {
  return new Refusal(status, code, message, headers);
}

function send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers);
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Path of a request as it was sent, decoded: `URL` would drop dots, which are a part of a key. */
export function pathOf(request: IncomingMessage): string {
  return decodeURIComponent((request.url ?? '/').replace(/\?.*$/s, ''));
}

/** Keys in the order object stores list them: by bytes. */
export function sortedKeys(objects: ReadonlyMap<string, unknown>, prefix = ''): string[] {
  const found: (readonly [bytes: Buffer, key: string])[] = [];
  for (const key of objects.keys()) if (key.startsWith(prefix)) found.push([Buffer.from(key), key]);
  return found.sort(([a], [b]) => Buffer.compare(a, b)).map(([, key]) => key);
}

/** `bytes=FROM-[TO]`, cut to what is there; `undefined` for any other header, `past` if it begins behind the end. */
export function byteRange(
  header: string | undefined,
  total: number,
): { start: number; end: number } | 'past' | undefined {
  const range = /^bytes=(\d+)-(\d*)$/.exec(header ?? '');
  if (range === null) return undefined;
  const start = Number(range[1]);
  const end = Math.min(range[2] === '' ? total : Number(range[2]) + 1, total);
  return start >= total ? 'past' : { start, end };
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

export function unescapeXml(text: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (_, hex?: string, decimal?: string, name?: string) =>
    name === undefined
      ? String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16))
      : (named[name] ?? ''),
  );
}
