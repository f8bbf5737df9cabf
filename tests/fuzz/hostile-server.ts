/** An HTTP server that answers each request, but never as a storage service would. */
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { httpServer } from '../support/http-server.ts';
import type { Random } from './random.ts';

const NAME = 'app/ltx/0/0000000000000001-0000000000000001.ltx';
const S3 = (inner: string): string =>
  `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</ListBucketResult>`;
const DAV = (inner: string): string => `<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">${inner}</d:multistatus>`;

/** Beginnings that are nearly right, for each service. */
const SEEDS: readonly string[] = [
  '',
  'null',
  'true',
  '0',
  '""',
  '[]',
  '{}',
  '{"items":null}',
  '{"items":{}}',
  '{"items":[null]}',
  '{"items":[{}]}',
  `{"items":[{"name":"${NAME}","size":"-1"}]}`,
  `{"items":[{"name":"${NAME}","size":"12","timeCreated":"x"}],"nextPageToken":{}}`,
  `{"items":[],"nextPageToken":"again"}`,
  '{"__proto__":{"items":[{}]},"constructor":1}',
  '<!doctype html><html><body>Please log in</body></html>',
  S3('<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>'),
  S3(
    `<IsTruncated>true</IsTruncated><Contents><Key>${NAME}</Key><Size>x</Size><LastModified>y</LastModified></Contents>`,
  ),
  S3('<Contents/><Contents></Contents><IsTruncated>maybe</IsTruncated>'),
  '<?xml version="1.0"?><EnumerationResults><Blobs><Blob/></Blobs><NextMarker>again</NextMarker></EnumerationResults>',
  `<?xml version="1.0"?><EnumerationResults><Blobs><Blob><Name>${NAME}</Name></Blob></Blobs></EnumerationResults>`,
  DAV(''),
  DAV('<d:response/>'),
  DAV(`<d:response><d:href>/%E0%A4%A</d:href><d:propstat><d:prop/></d:propstat></d:response>`),
  DAV(
    `<d:response><d:href>/${NAME}</d:href><d:propstat><d:prop><d:getcontentlength>x</d:getcontentlength></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>`,
  ),
  `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "${'a'.repeat(1000)}"><!ENTITY b "${'&a;'.repeat(1000)}">]>${DAV('&b;'.repeat(100))}`,
  '\0\0\0\0',
  '<'.repeat(20_000),
  '['.repeat(20_000),
  '{"a":'.repeat(5_000),
];

const STATUSES = [200, 200, 200, 200, 201, 204, 206, 207, 207, 301, 302, 307, 308, 400, 404, 412, 416, 429, 500, 503];
const TYPES = [
  'application/json',
  'application/xml',
  'text/html',
  'application/octet-stream',
  'text/xml; charset=x',
  '',
];

export class HostileServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #random: Random;
  /** What was answered last, for a report. */
  last = '';

  private constructor(random: Random) {
    this.#random = random;
    this.#server = httpServer((request, response) => {
      request.on('error', () => undefined).resume();
      response.on('error', () => undefined);
      this.#answer(response);
    });
  }

  static async start(random: Random): Promise<HostileServer> {
    const made = new HostileServer(random);
    const { promise, resolve } = Promise.withResolvers<void>();
    made.#server.listen(0, '127.0.0.1', resolve);
    await promise;
    return made;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #answer(response: ServerResponse): void {
    const random = this.#random;
    const body = mutate(random, Buffer.from(random.of(SEEDS)));
    const status = random.of(STATUSES);
    const kind = random.below(10);
    this.last = `${status} ${kind} ${body.subarray(0, 200).toString('latin1')}`;
    const headers: Record<string, string> = { 'content-type': random.of(TYPES) };
    if (random.below(3) === 0) headers['etag'] = random.of(['"x"', 'x', '']);
    if (random.below(3) === 0) headers['content-range'] = random.of(['bytes 0-3/4', 'bytes x/y', 'bytes 9-1/0']);
    if (status >= 300 && status < 400) headers['location'] = random.of(['/', 'http://127.0.0.1:1/', 'x', '//[', '']);
    if (random.below(4) === 0) headers['content-encoding'] = random.of(['gzip', 'br', 'x']);
    if (random.below(4) === 0) headers['www-authenticate'] = random.of(['Digest', 'Basic', 'Digest realm="', 'x']);
    try {
      if (kind === 0) {
        // Cut in the middle.
        response.writeHead(status, { ...headers, 'content-length': String(body.length + 100) });
        response.write(body, () => response.destroy());
        return;
      }
      if (kind === 1) {
        response.destroy();
        return;
      }
      response.writeHead(status, headers);
      response.end(kind === 2 ? Buffer.concat(Array.from({ length: 200 }, () => body)) : body);
    } catch {
      response.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Not waited for: a client may be connecting at this very moment.
    this.#server.close();
    this.#server.closeAllConnections();
    await Promise.resolve();
  }
}

/** As it is, cut, or with some bytes changed, doubled or taken away. */
export function mutate(random: Random, bytes: Buffer): Buffer {
  let result = bytes;
  for (let count = random.of([0, 0, 1, 1, 2, 5]); count > 0 && result.length > 0; count -= 1) {
    const at = random.below(result.length);
    const end = Math.min(result.length, at + 1 + random.below(20));
    const [before, middle, after] = [result.subarray(0, at), result.subarray(at, end), result.subarray(end)];
    const changes = [
      (): Buffer => before,
      (): Buffer => Buffer.concat([before, after]),
      (): Buffer => Buffer.concat([before, middle, middle, after]),
      (): Buffer => Buffer.concat([before, Buffer.from([random.below(256)]), after]),
      (): Buffer =>
        Buffer.concat([before, Buffer.from(random.of(['null', '-1', '1e999', '{}', '"', '</', '&x;'])), after]),
    ];
    result = random.of(changes)();
  }
  return result;
}
