/**
 * A small Google Cloud Storage for tests, over node:http, in memory: its JSON API as far as the client uses it, with
 * generations, conditions of uploads and deletes, resumable sessions, and failures on demand. It asks for no token, as
 * emulators do. `npm run test:services` proves it faithful by running the same suite on fake-gcs-server.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

import {
  type Answer,
  type Call,
  ProtocolServer,
  Refusal,
  answer,
  byteRange,
  sortedKeys,
} from '../../../tests/support/protocol-server.ts';

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

/** A resumable upload. */
interface Session {
  readonly resource: Resource;
  readonly query: URLSearchParams;
  body: Buffer;
}

export class GcsTestServer extends ProtocolServer {
  /** Names in one page. The service gives up to 1000, and may give fewer. */
  pageSizeMax = 1000;
  readonly objects: Map<string, StoredObject> = new Map();
  /** Resumable sessions that are open. */
  readonly sessions: Map<string, Session> = new Map();
  /** Is the bucket, `litestream`, there? */
  hasBucket = true;
  /** How many bytes of a part arrive before the server breaks down; all of them by default. */
  half: (call: Call) => number | undefined = () => undefined;
  /** Objects that cannot be deleted, and the reason given. */
  kept: (key: string) => string | undefined = () => undefined;
  #generation = 1_000;

  static async start(): Promise<GcsTestServer> {
    return await new GcsTestServer().listen();
  }

  private constructor() {
    super();
  }

  names(): string[] {
    return sortedKeys(this.objects);
  }

  protected read(request: IncomingMessage, body: Buffer): Call {
    return readCall(request, body);
  }

  /** Emulators ask for no token. */
  protected authorize(): void {}

  /** Words of the API's JSON; `code` of a refusal is the reason. */
  protected refuse(_call: Call | undefined, { status, code, message, headers }: Refusal): Answer {
    const errors = [{ domain: 'global', reason: code, message }];
    return json(status, { error: { code: status, message, errors } }, headers);
  }

  protected answer(call: Call): Answer {
    if (call.operation === 'part') return this.#part(call);
    if (call.operation === 'close') {
      this.sessions.delete(call.query.get('upload_id') ?? '');
      return answer(499);
    }
    if (call.bucket !== 'litestream' || !this.hasBucket) {
      throw new Refusal(404, 'notFound', 'The specified bucket does not exist.');
    }
    switch (call.operation) {
      case 'list':
        return this.#list(call.query);
      case 'multipart': {
        const { resource, body } = readMultipart(call);
        return json(200, this.#store(resource, call.query, body));
      }
      case 'session': {
        const id = randomUUID();
        const resource = JSON.parse(call.body.toString()) as Resource;
        this.sessions.set(id, { resource, query: call.query, body: Buffer.alloc(0) });
        const location = `${this.endpoint}/upload/storage/v1/b/${call.bucket}/o?uploadType=resumable&upload_id=${id}`;
        return answer(200, '', { location });
      }
      default:
        return this.#object(call);
    }
  }

  #object(call: Call): Answer {
    const object = this.objects.get(call.key);
    if (object === undefined) throw new Refusal(404, 'notFound', `No such object: ${call.bucket}/${call.key}`);
    if (call.operation === 'metadata') return json(200, resourceOf(call.key, object));
    if (call.operation === 'delete') {
      checkCondition(call.query, object);
      const reason = this.kept(call.key);
      if (reason !== undefined) throw new Refusal(403, 'retentionPolicyNotMet', reason);
      this.objects.delete(call.key);
      return answer(204);
    }
    const headers = {
      'x-goog-generation': String(object.generation),
      'last-modified': new Date(object.updated).toUTCString(),
    };
    const total = object.body.byteLength;
    const range = byteRange(call.headers.range, total);
    if (range === undefined) return answer(200, object.body, headers);
    if (range === 'past') throw new Refusal(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable');
    const { start, end } = range;
    return answer(206, object.body.subarray(start, end), {
      ...headers,
      'content-range': `bytes ${start}-${end - 1}/${total}`,
    });
  }

  #list(query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? '';
    const start = Buffer.from(query.get('pageToken') ?? query.get('startOffset') ?? '');
    const found = sortedKeys(this.objects, prefix).filter((name) => Buffer.compare(Buffer.from(name), start) >= 0);
    const limit = Math.min(Number(query.get('maxResults') ?? 1000), this.pageSizeMax);
    const items = found.slice(0, limit).flatMap((name) => {
      const object = this.objects.get(name);
      return object === undefined ? [] : [resourceOf(name, object)];
    });
    const next = found[limit];
    return json(200, { kind: 'storage#objects', items, ...(next === undefined ? {} : { nextPageToken: next }) });
  }

  #part(call: Call): Answer {
    const session = this.sessions.get(call.query.get('upload_id') ?? '');
    if (session === undefined) throw new Refusal(404, 'notFound', 'No such session');
    const arrived = this.half(call);
    if (arrived !== undefined) {
      session.body = Buffer.concat([session.body, call.body.subarray(0, arrived)]);
      throw new Refusal(503, 'backendError', 'Backend Error');
    }
    const [, start = '', total = ''] =
      /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(String(call.headers['content-range'])) ?? [];
    if (start !== '') {
      if (Number(start) !== session.body.byteLength) throw new Refusal(503, 'backendError', 'wrong offset');
      if (total === '*' && call.body.byteLength % (256 * 1024) !== 0)
        throw new Refusal(400, 'invalid', 'part is no multiple of 256 KiB');
      session.body = Buffer.concat([session.body, call.body]);
    }
    if (total !== '*' && session.body.byteLength === Number(total)) {
      this.sessions.delete(call.query.get('upload_id') ?? '');
      return json(200, this.#store(session.resource, session.query, session.body));
    }
    const size = session.body.byteLength;
    return answer(308, '', size === 0 ? {} : { range: `bytes=0-${size - 1}` });
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
  throw new Refusal(412, 'conditionNotMet', 'At least one of the pre-conditions you specified did not hold.');
}

function resourceOf(name: string, object: StoredObject): object {
  const { body, generation, contentType, metadata, updated } = object;
  const size = String(body.byteLength);
  return {
    kind: 'storage#object',
    name,
    size,
    generation: String(generation),
    md5Hash: createHash('md5').update(body).digest('base64'),
    contentType,
    metadata,
    updated,
    timeCreated: updated,
  };
}

function json(status: number, body: object, headers: Answer['headers'] = {}): Answer {
  return answer(status, JSON.stringify(body), { 'content-type': 'application/json; charset=UTF-8', ...headers });
}

function readCall(request: IncomingMessage, body: Buffer): Call {
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
    body,
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
