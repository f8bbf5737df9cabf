/**
 * A small S3 for tests, over node:http, in memory: what npm alone cannot give. It checks signatures, payload hashes and
 * Content-MD5, refuses what strict servers refuse (aws-chunked bodies), and fails on demand. `npm run test:services`
 * proves it faithful by running the same suite on real servers.
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
  escapeXml as xml,
  pathOf,
  sortedKeys,
  unescapeXml,
} from '../../../tests/support/protocol-server.ts';
import { checkSignature } from './signature.ts';

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

export class S3TestServer extends ProtocolServer {
  /** Keys in one page. The service gives up to 1000, and may give fewer. */
  pageSizeMax = 1000;
  readonly accessKeyId = 'litestreamtest';
  secretAccessKey = 'litestreamtestsecret';
  /** What signatures must be made for. */
  region = 'us-east-1';
  /** What temporary credentials must bring along; none by default. */
  sessionToken: string | undefined;
  /** How far the server's clock is from this machine's. */
  clockOffsetMs = 0;
  /** Objects that a batch delete refuses, and the reason it gives. */
  kept: (key: string) => string | undefined = () => undefined;
  /** Like some servers that speak S3: what is written under a condition is written without one. */
  ignoresConditions = false;
  readonly buckets: Map<string, Map<string, StoredObject>> = new Map([['litestream', new Map()]]);
  /** Multipart uploads that are neither completed nor aborted. */
  readonly uploads: Map<string, Upload> = new Map();

  static async start(): Promise<S3TestServer> {
    return await new S3TestServer().listen();
  }

  private constructor() {
    super();
  }

  keys(bucket = 'litestream'): string[] {
    return sortedKeys(this.buckets.get(bucket) ?? new Map());
  }

  protected read(request: IncomingMessage, body: Buffer): Call {
    const url = new URL(request.url ?? '/', 'http://server');
    const [, bucket = '', key = ''] = /^\/([^/]*)\/?(.*)$/s.exec(pathOf(request)) ?? [];
    const method = request.method ?? 'GET';
    const { searchParams: query } = url;
    return { method, operation: operationOf(method, key, query), bucket, key, query, headers: request.headers, body };
  }

  protected authorize(request: IncomingMessage, call: Call): void {
    const refusal = checkSignature(request, this);
    if (refusal !== undefined) {
      const wrongRegion = refusal === 'AuthorizationHeaderMalformed';
      const date = { date: new Date(Date.now() + this.clockOffsetMs).toUTCString() };
      throw new Refusal(wrongRegion ? 400 : 403, refusal, refusal, date);
    }
    if (call.headers['x-amz-security-token'] !== this.sessionToken) throw new Refusal(400, 'ExpiredToken');
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

  protected answer(call: Call): Answer {
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
        if (!this.ignoresConditions) checkConditions(call, bucket.get(call.key));
        return put(bucket, call.key, call.body, storedHeaders(call));
      case 'DeleteObject':
        if (call.headers['if-match'] !== undefined && !bucket.has(call.key)) throw new Refusal(404, 'NoSuchKey');
        checkConditions(call, bucket.get(call.key));
        bucket.delete(call.key);
        return answer(204, '');
      case 'DeleteObjects':
        return deleteObjects(call, bucket, this.kept);
      default:
        return this.#multipart(call, bucket);
    }
  }

  protected refuse(_call: Call | undefined, refusal: Refusal): Answer {
    const body = `<Error><Code>${refusal.code}</Code><Message>${refusal.message}</Message></Error>`;
    return answer(refusal.status, body, { 'content-type': 'application/xml', ...refusal.headers });
  }

  #list(call: Call, bucket: ReadonlyMap<string, StoredObject>): Answer {
    const get = (name: string): string => call.query.get(name) ?? '';
    const after = Buffer.from(get('continuation-token') || get('start-after'));
    const limit = Math.min(Number(get('max-keys') || 1000), this.pageSizeMax);
    const found = sortedKeys(bucket, get('prefix')).filter((key) => Buffer.compare(Buffer.from(key), after) > 0);
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
        const named = [...call.body.toString().matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, text = '']) => text);
        const parts = named.map((text) => {
          const part = upload.parts.get(Number(/<PartNumber>(\d+)<\/PartNumber>/.exec(text)?.[1]));
          const etag = unescapeXml(/<ETag>(.*?)<\/ETag>/.exec(text)?.[1] ?? '');
          return part === undefined || etagOf(part) !== etag ? undefined : part;
        });
        if (parts.includes(undefined)) throw new Refusal(400, 'InvalidPart');
        const bodies = parts.filter((part) => part !== undefined);
        if (bodies.slice(0, -1).some((part) => part.byteLength < 5 * 1024 * 1024))
          throw new Refusal(400, 'EntityTooSmall');
        // A refused completion leaves the parts: they are the caller's to remove.
        if (!this.ignoresConditions) checkConditions(call, bucket.get(call.key));
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
  const own = Object.fromEntries(names.map((name) => [name, String(call.headers[name])]));
  return { 'content-type': 'binary/octet-stream', ...own };
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
  const total = object.body.byteLength;
  const range = byteRange(call.headers.range, total);
  if (range === undefined) return answer(200, object.body, headers);
  if (range === 'past') throw new Refusal(416, 'InvalidRange');
  const { start, end } = range;
  return answer(206, object.body.subarray(start, end), {
    ...headers,
    'content-range': `bytes ${start}-${end - 1}/${total}`,
  });
}

function deleteObjects(
  call: Call,
  bucket: Map<string, StoredObject>,
  kept: (key: string) => string | undefined,
): Answer {
  if (call.headers['content-md5'] === undefined) throw new Refusal(400, 'InvalidRequest');
  const keys = [...call.body.toString().matchAll(/<Key>(.*?)<\/Key>/gs)].map((match) => unescapeXml(match[1] ?? ''));
  if (keys.length > 1000 || keys.length === 0) throw new Refusal(400, 'MalformedXML');
  const errors = keys.flatMap((key) => {
    const reason = kept(key);
    if (reason === undefined) bucket.delete(key);
    return reason === undefined
      ? []
      : [`<Error><Key>${xml(key)}</Key><Code>AccessDenied</Code><Message>${reason}</Message></Error>`];
  });
  return answer(200, `<DeleteResult>${errors.join('')}</DeleteResult>`);
}

function etagOf(body: Buffer, suffix = ''): string {
  return `"${createHash('md5').update(body).digest('hex')}${suffix}"`;
}
