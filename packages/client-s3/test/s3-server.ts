/**
 * A small S3 for tests, over node:http, in memory: what npm alone cannot give. It checks signatures, payload hashes and
 * Content-MD5, refuses what strict servers refuse (aws-chunked bodies), and fails on demand. `npm run test:services`
 * proves it faithful by running the same suite on real servers.
 */
import { createHash, randomUUID } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { checkSignature } from './signature.ts';

/** What a test makes go wrong with one request. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly code: string }
  /** The connection is reset before anything is answered. */
  | { readonly kind: 'reset' }
  /** The connection is reset after this many bytes of the body of an answer. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** No answer ever. */
  | { readonly kind: 'stall' };

/** One request, for tests to look at and to choose faults by. */
export interface Call {
  readonly method: string;
  /** As S3 names it: `PutObject`, `ListObjectsV2`, … */
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** A stored object. */
export interface StoredObject {
  readonly body: Buffer;
  readonly etag: string;
  readonly modifiedAtMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

interface Upload {
  readonly bucket: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: Map<number, Buffer>;
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export class S3TestServer implements AsyncDisposable {
  readonly accessKeyId = 'litestreamtest';
  readonly secretAccessKey = 'litestreamtestsecret';
  readonly buckets: Map<string, Map<string, StoredObject>> = new Map([['litestream', new Map()]]);
  /** Multipart uploads that are neither completed nor aborted. */
  readonly uploads: Map<string, Upload> = new Map();
  readonly calls: Call[] = [];
  readonly sockets: Set<Socket> = new Set();
  /** Decides before each request whether it fails. */
  fault: (call: Call) => Fault | undefined = () => undefined;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<S3TestServer> {
    const server = createServer();
    const self = new S3TestServer(server);
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

  /** Keys of a bucket in the order S3 lists them: by bytes. */
  keys(bucket = 'litestream'): string[] {
    return [...(this.buckets.get(bucket)?.keys() ?? [])].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
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
      if (fault?.kind === 'status') throw new Refusal(fault.status, fault.code);
      this.#authorize(request, call);
      const answer = this.#answer(call);
      response.writeHead(answer.status, answer.headers);
      if (call.method === 'HEAD') response.end();
      else if (fault?.kind === 'cut') {
        response.write(answer.body.subarray(0, fault.afterBytes), () => request.socket.resetAndDestroy());
      } else response.end(answer.body);
    } catch (error) {
      if (error instanceof Refusal) refuse(request, response, error);
      else request.socket.destroy();
    }
  }

  #authorize(request: IncomingMessage, call: Call): void {
    const refusal = checkSignature(request, this);
    if (refusal !== undefined) throw new Refusal(403, refusal);
    const hash = String(call.headers['x-amz-content-sha256']);
    if (hash.startsWith('STREAMING-')) throw new Refusal(501, 'NotImplemented');
    if (hash !== 'UNSIGNED-PAYLOAD' && hash !== createHash('sha256').update(call.body).digest('hex')) {
      throw new Refusal(400, 'XAmzContentSHA256Mismatch');
    }
    const digest = call.headers['content-md5'];
    if (digest !== undefined && digest !== createHash('md5').update(call.body).digest('base64')) {
      throw new Refusal(400, 'BadDigest');
    }
  }

  #answer(call: Call): Answer {
    const bucket = this.buckets.get(call.bucket);
    if (bucket === undefined) throw new Refusal(404, 'NoSuchBucket');
    switch (call.operation) {
      case 'HeadBucket':
        return answer(200, '', { 'x-amz-bucket-region': 'us-east-1' });
      case 'ListObjectsV2':
        return this.#list(call, bucket);
      case 'GetObject':
      case 'HeadObject':
        return getObject(call, bucket);
      case 'PutObject':
        checkConditions(call, bucket.get(call.key));
        return put(bucket, call.key, call.body, storedHeaders(call));
      case 'DeleteObject':
        if (call.headers['if-match'] !== undefined && !bucket.has(call.key)) throw new Refusal(404, 'NoSuchKey');
        checkConditions(call, bucket.get(call.key));
        bucket.delete(call.key);
        return answer(204, '');
      case 'DeleteObjects':
        return deleteObjects(call, bucket);
      default:
        return this.#multipart(call, bucket);
    }
  }

  #list(call: Call, bucket: ReadonlyMap<string, StoredObject>): Answer {
    const get = (name: string): string => call.query.get(name) ?? '';
    const after = Buffer.from(get('continuation-token') || get('start-after'));
    const limit = Math.min(Number(get('max-keys') || 1000), 1000);
    const found = this.keys(call.bucket).filter(
      (key) => key.startsWith(get('prefix')) && Buffer.compare(Buffer.from(key), after) > 0,
    );
    const page = found.slice(0, limit);
    const rows = page.map((key) => {
      const object = bucket.get(key);
      const modified = new Date(object?.modifiedAtMs ?? 0).toISOString();
      return `<Contents><Key>${xml(key)}</Key><LastModified>${modified}</LastModified><ETag>${xml(object?.etag ?? '')}</ETag><Size>${object?.body.byteLength}</Size></Contents>`;
    });
    const more = found.length > limit;
    const token = more ? `<NextContinuationToken>${xml(page.at(-1) ?? '')}</NextContinuationToken>` : '';
    return answer(
      200,
      `<ListBucketResult><IsTruncated>${more}</IsTruncated>${token}${rows.join('')}</ListBucketResult>`,
    );
  }

  #multipart(call: Call, bucket: Map<string, StoredObject>): Answer {
    const id = call.query.get('uploadId') ?? '';
    if (call.operation === 'CreateMultipartUpload') {
      const uploadId = randomUUID();
      this.uploads.set(uploadId, {
        bucket: call.bucket,
        key: call.key,
        headers: storedHeaders(call),
        parts: new Map(),
      });
      return answer(
        200,
        `<InitiateMultipartUploadResult><UploadId>${uploadId}</UploadId></InitiateMultipartUploadResult>`,
      );
    }
    const upload = this.uploads.get(id);
    if (upload === undefined) throw new Refusal(404, 'NoSuchUpload');
    switch (call.operation) {
      case 'UploadPart':
        upload.parts.set(Number(call.query.get('partNumber')), call.body);
        return answer(200, '', { etag: etagOf(call.body) });
      case 'AbortMultipartUpload':
        this.uploads.delete(id);
        return answer(204, '');
      case 'CompleteMultipartUpload': {
        const numbers = [...call.body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map((match) =>
          Number(match[1]),
        );
        const parts = numbers.map((number) => upload.parts.get(number));
        if (parts.includes(undefined)) throw new Refusal(400, 'InvalidPart');
        const bodies = parts.filter((part) => part !== undefined);
        if (bodies.slice(0, -1).some((part) => part.byteLength < 5 * 1024 * 1024))
          throw new Refusal(400, 'EntityTooSmall');
        this.uploads.delete(id);
        const stored = put(bucket, call.key, Buffer.concat(bodies), upload.headers, `-${bodies.length}`);
        return answer(
          200,
          `<CompleteMultipartUploadResult><ETag>${xml(stored.headers['etag'] ?? '')}</ETag></CompleteMultipartUploadResult>`,
        );
      }
      default:
        throw new Refusal(501, 'NotImplemented');
    }
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

function answer(status: number, body: string | Buffer, headers: Record<string, string> = {}): Answer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return { status, body: bytes, headers: { 'content-length': String(bytes.byteLength), ...headers } };
}

async function readCall(request: IncomingMessage): Promise<Call> {
  const url = new URL(request.url ?? '/', 'http://server');
  const [, bucket = '', key = ''] = /^\/([^/]*)\/?(.*)$/s.exec(decodeURIComponent(url.pathname)) ?? [];
  const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
  const method = request.method ?? 'GET';
  const { searchParams: query } = url;
  return { method, operation: operationOf(method, key, query), bucket, key, query, headers: request.headers, body };
}

function operationOf(method: string, key: string, query: URLSearchParams): string {
  if (key === '') {
    if (method === 'POST' && query.has('delete')) return 'DeleteObjects';
    return method === 'HEAD' ? 'HeadBucket' : method === 'GET' && query.has('list-type') ? 'ListObjectsV2' : method;
  }
  if (method === 'POST') return query.has('uploads') ? 'CreateMultipartUpload' : 'CompleteMultipartUpload';
  if (query.has('uploadId')) return method === 'PUT' ? 'UploadPart' : 'AbortMultipartUpload';
  return { GET: 'GetObject', HEAD: 'HeadObject', PUT: 'PutObject', DELETE: 'DeleteObject' }[method] ?? method;
}

function storedHeaders(call: Call): Record<string, string> {
  const names = Object.keys(call.headers).filter((name) =>
    /^(x-amz-meta-.*|content-type|x-amz-storage-class)$/.test(name),
  );
  return Object.fromEntries(names.map((name) => [name, String(call.headers[name])]));
}

function checkConditions(call: Call, object: StoredObject | undefined): void {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = call.headers;
  if (ifMatch !== undefined && object === undefined) throw new Refusal(404, 'NoSuchKey');
  if (ifMatch !== undefined && object?.etag !== ifMatch) throw new Refusal(412, 'PreconditionFailed');
  if (ifNoneMatch === '*' && object !== undefined) throw new Refusal(412, 'PreconditionFailed');
}

function put(
  bucket: Map<string, StoredObject>,
  key: string,
  body: Buffer,
  headers: Readonly<Record<string, string>>,
  suffix = '',
): Answer {
  const etag = etagOf(body, suffix);
  bucket.set(key, { body, etag, headers, modifiedAtMs: Date.now() });
  return answer(200, '', { etag });
}

function getObject(call: Call, bucket: ReadonlyMap<string, StoredObject>): Answer {
  const object = bucket.get(call.key);
  if (object === undefined) throw new Refusal(404, 'NoSuchKey');
  checkConditions(call, object);
  const headers = {
    ...object.headers,
    etag: object.etag,
    'last-modified': new Date(object.modifiedAtMs).toUTCString(),
  };
  const range = /^bytes=(\d+)-(\d*)$/.exec(call.headers.range ?? '');
  if (range === null) return answer(200, object.body, headers);
  const total = object.body.byteLength;
  const start = Number(range[1]);
  const end = Math.min(range[2] === '' ? total : Number(range[2]) + 1, total);
  if (start >= total) throw new Refusal(416, 'InvalidRange');
  return answer(206, object.body.subarray(start, end), {
    ...headers,
    'content-range': `bytes ${start}-${end - 1}/${total}`,
  });
}

function deleteObjects(call: Call, bucket: Map<string, StoredObject>): Answer {
  if (call.headers['content-md5'] === undefined) throw new Refusal(400, 'InvalidRequest');
  const keys = [...call.body.toString().matchAll(/<Key>(.*?)<\/Key>/gs)].map((match) => unescapeXml(match[1] ?? ''));
  if (keys.length > 1000) throw new Refusal(400, 'MalformedXML');
  for (const key of keys) bucket.delete(key);
  return answer(200, '<DeleteResult></DeleteResult>');
}

function refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent) return void request.socket.destroy();
  const body =
    request.method === 'HEAD' ? '' : `<Error><Code>${refusal.code}</Code><Message>${refusal.code}</Message></Error>`;
  response.writeHead(refusal.status, {
    'content-type': 'application/xml',
    'content-length': String(Buffer.byteLength(body)),
  });
  response.end(body);
}

function etagOf(body: Buffer, suffix = ''): string {
  return `"${createHash('md5').update(body).digest('hex')}${suffix}"`;
}

function xml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

function unescapeXml(text: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (_, hex?: string, decimal?: string, name?: string) =>
    name === undefined
      ? String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16))
      : (named[name] ?? ''),
  );
}
