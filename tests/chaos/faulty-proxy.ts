/** An HTTP proxy before the server of a replica, on which the network and the server fail as they do in practice. */
import { request as ask } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Random } from '../support/random.ts';
import { httpServer } from '../support/http-server.ts';
import { pause } from '../support/wait.ts';

export const proxyFaults = [
  /** 429, 500 or 503. */
  'refused',
  /** The connection is reset before the server sees the request. */
  'reset',
  /** The server gets the first half of the request. */
  'request cut',
  /** The server does what it is asked for; its answer is lost. */
  'answer lost',
  /** The client gets the first half of the answer. */
  'answer cut',
  /** Nothing moves for a second. */
  'slow',
  /** A listing is answered with what it said some time ago. */
  'stale listing',
] as const;
export type ProxyFault = (typeof proxyFaults)[number];

/** What fails, and for which share of the requests. */
export interface Trouble {
  readonly faults: readonly ProxyFault[];
  readonly share: number;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const statuses = [
  [429, 'TooManyRequests'],
  [500, 'InternalError'],
  [503, 'SlowDown'],
] as const;
const slowMs = 1000;
/** How long a listing may be out of date. */
const staleMs = 3000;

export class FaultyProxy implements AsyncDisposable {
  /** Undefined: nothing fails. */
  trouble: Trouble | undefined;
  /** Refuses every connection. */
  isUnreachable = false;
  /** How often each fault occurred. */
  readonly struck: Map<ProxyFault, number> = new Map();
  readonly #random: Random;
  readonly #target: URL;
  readonly #listings = new Map<string, { readonly answer: Answer; readonly atMs: number }>();
  readonly #server = httpServer((incoming, outgoing) => void this.#handle(incoming, outgoing));

  private constructor(target: string, random: Random) {
    this.#target = new URL(target);
    this.#random = random;
    this.#server.on('connection', (socket) => {
      if (this.isUnreachable) socket.resetAndDestroy();
    });
  }

  static async start(target: string, random: Random): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target, random);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on it refuses all connections. */
  cutOff(): void {
    this.isUnreachable = true;
    this.#server.closeAllConnections();
  }

  /** From now on nothing fails. */
  heal(): void {
    this.isUnreachable = false;
    this.trouble = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      const body = Buffer.concat(await Array.fromAsync(incoming as AsyncIterable<Buffer>));
      const fault = this.#nextFault(incoming);
      if (fault !== undefined) this.struck.set(fault, (this.struck.get(fault) ?? 0) + 1);
      await this.#answer(incoming, body, outgoing, fault);
    } catch {
      outgoing.destroy();
    }
  }

  #nextFault(incoming: IncomingMessage): ProxyFault | undefined {
    const { trouble } = this;
    if (trouble === undefined || !this.#random.chance(trouble.share)) return undefined;
    const fault = this.#random.pick(trouble.faults);
    return fault !== 'stale listing' || isListing(incoming) ? fault : undefined;
  }

  async #answer(
    incoming: IncomingMessage,
    body: Buffer,
    outgoing: ServerResponse,
    fault: ProxyFault | undefined,
  ): Promise<void> {
    switch (fault) {
      case 'refused':
        return refuse(outgoing, this.#random.pick(statuses));
      case 'reset':
        return void incoming.socket.resetAndDestroy();
      case 'request cut':
        this.#sendHalf(incoming, body);
        return void incoming.socket.resetAndDestroy();
      case 'answer lost':
        await this.#ask(incoming, body);
        return void incoming.socket.resetAndDestroy();
      case 'answer cut': {
        const { status, headers, body: whole } = await this.#ask(incoming, body);
        outgoing.writeHead(status, headers);
        outgoing.write(whole.subarray(0, whole.length >> 1), () => incoming.socket.resetAndDestroy());
        return;
      }
      case 'stale listing':
        return send(outgoing, this.#staleListing(incoming) ?? (await this.#ask(incoming, body)));
      case 'slow':
        await pause(slowMs, 'a slow network');
        return send(outgoing, await this.#ask(incoming, body));
      case undefined:
        return send(outgoing, await this.#ask(incoming, body));
    }
  }

  #staleListing({ url = '' }: IncomingMessage): Answer | undefined {
    const kept = this.#listings.get(url);
    return kept !== undefined && performance.now() - kept.atMs < staleMs ? kept.answer : undefined;
  }

  /** Headers go on as they came: signatures cover them, the host's name included. */
  async #ask(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const { hostname, port } = this.#target;
    const { method, url = '', headers } = incoming;
    const forward = ask({ hostname, port, method, path: url, headers, agent: false }, (response) => {
      const { statusCode: status = 502, headers } = response;
      Array.fromAsync(response as AsyncIterable<Buffer>).then(
        (pieces) => resolve({ status, headers, body: Buffer.concat(pieces) }),
        reject,
      );
    });
    forward.on('error', reject);
    forward.end(body);
    const answer = await promise;
    const kept = this.#listings.get(url);
    // The older one stays until it is too old.
    if (isListing(incoming) && (kept === undefined || performance.now() - kept.atMs >= staleMs)) {
      this.#listings.set(url, { answer, atMs: performance.now() });
    }
    return answer;
  }

  #sendHalf({ method, url, headers }: IncomingMessage, body: Buffer): void {
    const { hostname, port } = this.#target;
    const forward = ask({ hostname, port, method, path: url, headers, agent: false });
    forward.on('error', () => undefined);
    forward.write(body.subarray(0, body.length >> 1), () => forward.destroy());
  }
}

function isListing({ method, url = '' }: IncomingMessage): boolean {
  return method === 'GET' && url.includes('list-type=2');
}

function refuse(outgoing: ServerResponse, [status, code]: readonly [number, string]): void {
  const body = `<Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  outgoing.writeHead(status, { 'content-type': 'application/xml', 'content-length': body.length }).end(body);
}

function send(outgoing: ServerResponse, { status, headers, body }: Answer): void {
  outgoing.writeHead(status, headers).end(body);
}
