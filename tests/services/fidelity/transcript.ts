/** What a server answered to each of a set of raw requests, reduced to what a client goes by. */
import { createHash } from 'node:crypto';
import { type IncomingHttpHeaders, type IncomingMessage, request as send } from 'node:http';

export interface Question {
  readonly method: string;
  /** Path and query as they go over the wire. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

export interface Heard {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export type Facts = Readonly<Record<string, unknown>>;

/** Answers by the names of their questions. */
export class Transcript {
  readonly answers: Map<string, Facts> = new Map();

  note(name: string, facts: Facts): void {
    if (this.answers.has(name)) throw new Error(`asked twice: ${name}`);
    this.answers.set(name, facts);
  }
}

/** Sends a request on a connection of its own. */
export function ask(endpoint: string, { method, url, headers = {}, body = '' }: Question): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(endpoint);
    const bytes = Buffer.from(body);
    const length = method === 'GET' || method === 'HEAD' ? {} : { 'content-length': String(bytes.byteLength) };
    const outgoing = send(
      { hostname, port, method, path: url, agent: false, headers: { ...length, ...headers } },
      (incoming) => void hear(incoming).then(resolve, reject),
    );
    outgoing.once('error', reject);
    outgoing.end(bytes);
  });
}

async function hear(incoming: IncomingMessage): Promise<Heard> {
  const body = Buffer.concat(await Array.fromAsync(incoming as AsyncIterable<Buffer>));
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body };
}

/** Facts of the headers named: a value that differs from run to run by its form, all others as they are. */
export function headerFacts(headers: IncomingHttpHeaders, names: readonly string[]): Facts {
  return Object.fromEntries(names.map((name) => [name, formOf(name, headers[name])]));
}

function formOf(name: string, value: string | string[] | undefined): unknown {
  const text = String(value ?? '');
  if (text === '') return undefined;
  if (name === 'etag') return /^"[^"]+"$/.test(text) ? 'quoted' : text;
  if (name === 'last-modified') return Number.isNaN(Date.parse(text)) ? text : 'a date';
  if (name === 'x-goog-generation') return /^\d+$/.test(text) ? 'a number' : text;
  return text;
}

/** A body as it is if it is short, else its hash. */
export function bodyFact(body: Buffer): string {
  return body.byteLength < 200 ? body.toString() : createHash('sha256').update(body).digest('hex');
}
