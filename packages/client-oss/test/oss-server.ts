/**
 * A small OSS for tests, over node:http, in memory. Nobody offers a server of this protocol to run at home, so this is a
 * model of ours, made from the service's reference and from what two SDKs of Alibaba's own expect: `ali-oss`, which our
 * client uses, and the Go SDK inside Litestream, which checks each CRC. It verifies signatures of version 1 and 4.
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
  escapeXml,
  pathOf,
  sortedKeys,
  unescapeXml,
} from '../../../tests/support/protocol-server.ts';
import { crc64 } from './crc64-ecma.ts';
import { checkSignature } from './signature.ts';

/** A stored object. */
export interface StoredObject {
  readonly body: Buffer;
  readonly etag: string;
  readonly modifiedAtMs: number;
  /** Type and user metadata, under the names of their headers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly crc64: string;
}

interface Upload {
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: Map<number, Buffer>;
}

type Bucket = Map<string, StoredObject>;

const PART_SIZE_MIN = 100 * 1024;

export class OssTestServer extends ProtocolServer {
  readonly accessKeyId = 'litestreamtest';
  readonly accessKeySecret = 'litestreamtestsecret';
  readonly region = 'cn-hangzhou';
  /** What temporary credentials must bring along; none by default. */
  securityToken: string | undefined;
  /** Keys in one page. The service gives up to 1000. */
  pageSizeMax = 1000;
  /** Objects that a batch delete leaves where they are, as a retention policy does. */
  kept: (key: string) => boolean = () => false;
  readonly buckets: Map<string, Bucket> = new Map([['litestream', new Map()]]);
  /** Multipart uploads that are neither completed nor aborted. */
  readonly uploads: Map<string, Upload> = new Map();

  static async start(): Promise<OssTestServer> {
    return await new OssTestServer().listen();
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
    // `+` is a plus sign to the service.
    const query = new URLSearchParams(url.search.replaceAll('+', '%2B'));
    return { method, operation: operationOf(method, key, query), bucket, key, query, headers: request.headers, body };
  }

  protected authorize(request: IncomingMessage, call: Call): void {
    const refused = checkSignature(request, call, this);
    if (refused !== undefined) throw new Refusal(...refused);
    const token = call.headers['x-oss-security-token'];
    if (token !== this.securityToken) {
      throw new Refusal(403, 'InvalidSecurityToken', 'The security token you provided is invalid.');
    }
    const digest = call.headers['content-md5'];
    if (digest !== undefined && digest !== createHash('md5').update(call.body).digest('base64')) {
      throw new Refusal(400, 'InvalidDigest', 'The Content-MD5 you specified was invalid.');
    }
  }

  protected answer(call: Call): Answer {
    const done = this.#answer(call);
    return { ...done, headers: { 'x-oss-request-id': newRequestId(), ...done.headers } };
  }

  #answer(call: Call): Answer {
    const bucket = this.buckets.get(call.bucket);
    if (bucket === undefined) throw new Refusal(404, 'NoSuchBucket', 'The specified bucket does not exist.');
    if (/^[/\\]/.test(call.key)) {
      throw new Refusal(400, 'InvalidObjectName', `The specified object is not valid.`);
    }
    switch (call.operation) {
      case 'ListObjectsV2':
        return list(call, bucket, this.pageSizeMax);
      case 'GetObject':
      case 'HeadObject':
        return getObject(call, bucket);
      case 'PutObject':
        checkOverwrite(call, bucket);
        return put(bucket, call.key, call.body, storedHeaders(call));
      case 'DeleteObject':
        bucket.delete(call.key);
        return answer(204);
      case 'DeleteMultipleObjects':
        return deleteObjects(call, bucket, this.kept);
      default:
        return this.#multipart(call, bucket);
    }
  }

  protected refuse(call: Call | undefined, refusal: Refusal): Answer {
    const { status, code, message, headers } = refusal;
    const requestId = newRequestId();
    const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${escapeXml(message)}</Message><RequestId>${requestId}</RequestId><HostId>${call?.bucket ?? ''}.oss-${this.region}.aliyuncs.com</HostId></Error>`;
    // An answer to HEAD has no body: the reason stands in a header.
    const reason = call?.method === 'HEAD' ? { 'x-oss-err': Buffer.from(body).toString('base64') } : {};
    return answer(status, body, {
      'content-type': 'application/xml',
      'x-oss-request-id': requestId,
      ...reason,
      ...headers,
    });
  }

  #multipart(call: Call, bucket: Bucket): Answer {
    if (call.operation === 'InitiateMultipartUpload') {
      checkOverwrite(call, bucket);
      const uploadId = randomUUID().replaceAll('-', '').toUpperCase();
      this.uploads.set(uploadId, { key: call.key, headers: storedHeaders(call), parts: new Map() });
      const body = `<Bucket>${call.bucket}</Bucket><Key>${escapeXml(call.key)}</Key><UploadId>${uploadId}</UploadId>`;
      return answer(200, `<InitiateMultipartUploadResult>${body}</InitiateMultipartUploadResult>`);
    }
    const id = call.query.get('uploadId') ?? '';
    const upload = this.uploads.get(id);
    if (upload === undefined) throw new Refusal(404, 'NoSuchUpload', 'The specified upload does not exist.');
    switch (call.operation) {
      case 'UploadPart':
        upload.parts.set(Number(call.query.get('partNumber')), call.body);
        return answer(200, '', { etag: etagOf(call.body), 'x-oss-hash-crc64ecma': String(crc64(call.body)) });
      case 'AbortMultipartUpload':
        this.uploads.delete(id);
        return answer(204);
      case 'CompleteMultipartUpload': {
        const parts = namedParts(call, upload);
        checkOverwrite(call, bucket);
        this.uploads.delete(id);
        const { headers } = put(bucket, call.key, Buffer.concat(parts), upload.headers, `-${parts.length}`);
        const body = `<Bucket>${call.bucket}</Bucket><ETag>${escapeXml(headers['etag'] ?? '')}</ETag><Key>${escapeXml(call.key)}</Key>`;
        return answer(200, `<CompleteMultipartUploadResult>${body}</CompleteMultipartUploadResult>`, {
          etag: headers['etag'] ?? '',
          'x-oss-hash-crc64ecma': headers['x-oss-hash-crc64ecma'] ?? '',
        });
      }
      default:
        throw new Refusal(400, 'OperationNotSupported', 'The operation is not supported.');
    }
  }
}

function operationOf(method: string, key: string, query: URLSearchParams): string {
  if (key === '') {
    if (method === 'POST' && query.has('delete')) return 'DeleteMultipleObjects';
    return method === 'GET' && query.get('list-type') === '2' ? 'ListObjectsV2' : method;
  }
  if (method === 'POST') return query.has('uploads') ? 'InitiateMultipartUpload' : 'CompleteMultipartUpload';
  if (query.has('uploadId')) return method === 'PUT' ? 'UploadPart' : 'AbortMultipartUpload';
  return { GET: 'GetObject', HEAD: 'HeadObject', PUT: 'PutObject', DELETE: 'DeleteObject' }[method] ?? method;
}

function checkOverwrite(call: Call, bucket: Bucket): void {
  if (call.headers['x-oss-forbid-overwrite'] !== 'true' || !bucket.has(call.key)) return;
  throw new Refusal(409, 'FileAlreadyExists', 'The object you specified already exists and can not be overwritten.');
}

function storedHeaders(call: Call): Record<string, string> {
  const kept = Object.entries(call.headers).filter(([name]) => /^(x-oss-meta-.*|content-type)$/.test(name));
  return {
    'content-type': 'application/octet-stream',
    ...Object.fromEntries(kept.map(([name, value]) => [name, String(value)])),
  };
}

function put(bucket: Bucket, key: string, body: Buffer, headers: StoredObject['headers'], suffix = ''): Answer {
  const object = { body, etag: etagOf(body, suffix), headers, modifiedAtMs: Date.now(), crc64: String(crc64(body)) };
  bucket.set(key, object);
  return answer(200, '', { etag: object.etag, 'x-oss-hash-crc64ecma': object.crc64 });
}

function list(call: Call, bucket: Bucket, pageSizeMax: number): Answer {
  const get = (name: string): string => call.query.get(name) ?? '';
  const token = Buffer.from(get('continuation-token'), 'base64url');
  const after = token.byteLength > 0 ? token : Buffer.from(get('start-after'));
  const limit = Math.min(Number(get('max-keys') || 100), pageSizeMax);
  const found = sortedKeys(bucket, get('prefix')).filter((key) => Buffer.compare(Buffer.from(key), after) > 0);
  const page = found.slice(0, limit);
  const name = (key: string): string => (get('encoding-type') === 'url' ? encodeURIComponent(key) : escapeXml(key));
  const rows = page.map((key) => {
    const object = bucket.get(key);
    // The service tells whole seconds.
    const modified = new Date(Math.floor((object?.modifiedAtMs ?? 0) / 1000) * 1000).toISOString();
    return `<Contents><Key>${name(key)}</Key><LastModified>${modified}</LastModified><ETag>${escapeXml(object?.etag ?? '')}</ETag><Type>Normal</Type><Size>${object?.body.byteLength}</Size><StorageClass>Standard</StorageClass></Contents>`;
  });
  const more = found.length > limit;
  const next = more
    ? `<NextContinuationToken>${Buffer.from(page.at(-1) ?? '').toString('base64url')}</NextContinuationToken>`
    : '';
  const encoding = get('encoding-type') === '' ? '' : `<EncodingType>${get('encoding-type')}</EncodingType>`;
  return answer(
    200,
    `<ListBucketResult><Name>${call.bucket}</Name><Prefix>${name(get('prefix'))}</Prefix><MaxKeys>${limit}</MaxKeys>${encoding}<IsTruncated>${more}</IsTruncated>${next}<KeyCount>${page.length}</KeyCount>${rows.join('')}</ListBucketResult>`,
    { 'content-type': 'application/xml' },
  );
}

function getObject(call: Call, bucket: Bucket): Answer {
  const object = bucket.get(call.key);
  if (object === undefined) throw new Refusal(404, 'NoSuchKey', 'The specified key does not exist.');
  const headers = {
    ...object.headers,
    etag: object.etag,
    'last-modified': new Date(object.modifiedAtMs).toUTCString(),
    'x-oss-hash-crc64ecma': object.crc64,
    'x-oss-object-type': 'Normal',
  };
  const total = object.body.byteLength;
  const range = byteRange(call.headers.range, total);
  const standard = call.headers['x-oss-range-behavior'] === 'standard';
  if (range === 'past' && standard) throw new Refusal(416, 'InvalidRange', 'The requested range cannot be satisfied.');
  // Unless told otherwise, the service answers a range it cannot give with the whole object.
  if (range === undefined || range === 'past') return answer(200, object.body, headers);
  const { start, end } = range;
  return answer(206, object.body.subarray(start, end), {
    ...headers,
    'content-range': `bytes ${start}-${end - 1}/${total}`,
  });
}

function deleteObjects(call: Call, bucket: Bucket, kept: (key: string) => boolean): Answer {
  if (call.headers['content-md5'] === undefined)
    throw new Refusal(400, 'MissingArgument', 'Missing Some Required Arguments.');
  const text = call.body.toString();
  const keys = [...text.matchAll(/<Key>(.*?)<\/Key>/gs)].map((match) => unescapeXml(match[1] ?? ''));
  if (keys.length > 1000 || keys.length === 0)
    throw new Refusal(400, 'MalformedXML', 'The XML you provided was not well-formed.');
  const gone = keys.filter((key) => !kept(key));
  for (const key of gone) bucket.delete(key);
  const url = call.query.get('encoding-type') === 'url';
  const deleted = gone.map((key) => `<Deleted><Key>${url ? encodeURIComponent(key) : escapeXml(key)}</Key></Deleted>`);
  const rows = text.includes('<Quiet>true</Quiet>')
    ? ''
    : (url ? '<EncodingType>url</EncodingType>' : '') + deleted.join('');
  return answer(200, `<DeleteResult>${rows}</DeleteResult>`, { 'content-type': 'application/xml' });
}

function namedParts(call: Call, upload: Upload): Buffer[] {
  const parts = [...call.body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map((match) => {
    const part = upload.parts.get(Number(match[1]));
    if (part === undefined)
      throw new Refusal(400, 'InvalidPart', 'One or more of the specified parts could not be found.');
    return part;
  });
  if (parts.slice(0, -1).some((part) => part.byteLength < PART_SIZE_MIN)) {
    throw new Refusal(400, 'EntityTooSmall', 'Your proposed upload smaller than the minimum allowed size.');
  }
  return parts;
}

function etagOf(body: Buffer, suffix = ''): string {
  return `"${createHash('md5').update(body).digest('hex').toUpperCase()}${suffix}"`;
}

/** The service numbers its answers. */
function newRequestId(): string {
  return randomUUID().replaceAll('-', '').slice(0, 24).toUpperCase();
}
