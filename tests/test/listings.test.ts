/** A listing is whole and well-formed, or an error: on every backend that asks for one over HTTP. */
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { AbsReplicaClient } from '@litestream/client-abs';
import { GcsReplicaClient } from '@litestream/client-gcs';
import { OssReplicaClient } from '@litestream/client-oss';
import { S3ReplicaClient } from '@litestream/client-s3';
import { WebdavReplicaClient } from '@litestream/client-webdav';
import { guardClient } from '@litestream/core';
import type { ReplicaClient } from '@litestream/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { httpServer } from '../support/http-server.ts';
import { tsProgram } from '../support/programs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Answers every request with the next of these, the last one from then on. */
let answers: readonly string[] = [''];
let count = 0;
let status = 200;
const server = httpServer((request, response) => {
  request.resume();
  const isProbe = request.method === 'PROPFIND' && request.headers.depth === '0';
  const body = isProbe ? '<multistatus/>' : (answers[Math.min(count++, answers.length - 1)] ?? '');
  response.writeHead(isProbe ? 207 : status, {
    'content-type': body.startsWith('{') ? 'application/json' : 'application/xml',
    // OSS and Azure number their answers.
    'x-oss-request-id': '1',
    'x-ms-request-id': '1',
  });
  response.end(body);
});
let endpoint: string;
beforeAll(async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const keys = { accessKeyId: 'id', secretAccessKey: 'secret' };
const place = { bucket: 'bucket', path: 'app' };

function nameOf(txid: number): string {
  const text = String(txid).padStart(16, '0');
  return `${text}-${text}.ltx`;
}

/** How a backend words a listing. */
interface Backend {
  readonly client: () => ReplicaClient;
  readonly status: number;
  /** One file, of 5 bytes. */
  readonly row: (txid: number) => string;
  /** `next`: token of the next page. */
  readonly page: (rows: readonly string[], next?: string) => string;
  /** Answers that are no listings of this backend, beside those that are none of any backend. */
  readonly foreign: Readonly<Record<string, string>>;
  /** undefined: a listing has one page. */
  readonly pages: boolean;
}

const s3Row = (txid: number): string =>
  `<Contents><Key>app/0000/${nameOf(txid)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"e"</ETag><Size>5</Size></Contents>`;
const s3Page = (rows: readonly string[], next = ''): string => {
  const token = next === '' ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`;
  return `<ListBucketResult><Name>bucket</Name><IsTruncated>${next !== ''}</IsTruncated>${token}${rows.join('')}</ListBucketResult>`;
};
const s3Foreign = {
  'a root alone': '<ListBucketResult/>',
  'no word on whether it goes on': '<ListBucketResult><Name>bucket</Name></ListBucketResult>',
  'a truncated page without a token': s3Page([s3Row(1)], 'next').replace(/<NextC.*?>next<.*?>/, ''),
  'a file without a name': s3Page([s3Row(1).replace(/<Key>.*<\/Key>/, '')]),
  'a file without a size': s3Page([s3Row(1).replace(/<Size>.*<\/Size>/, '')]),
};

const absRow = (txid: number): string =>
  `<Blob><Name>app/ltx/0/${nameOf(txid)}</Name><Properties><Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Etag>0x1</Etag><Content-Length>5</Content-Length></Properties></Blob>`;
const absPage = (rows: readonly string[], next = ''): string =>
  `<EnumerationResults ServiceEndpoint="http://me" ContainerName="bucket"><Blobs>${rows.join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;

const gcsRow = (txid: number): string =>
  JSON.stringify({
    name: `app/ltx/0/${nameOf(txid)}`,
    size: '5',
    timeCreated: '2026-01-01T00:00:00Z',
    generation: '1',
  });
const gcsPage = (rows: readonly string[], next = ''): string =>
  `{"kind":"storage#objects"${next === '' ? '' : `,"nextPageToken":"${next}"`},"items":[${rows.join(',')}]}`;

const OK = '<D:status>HTTP/1.1 200 OK</D:status>';
const davRow = (txid: number): string =>
  `<D:response><D:href>/app/ltx/0/${nameOf(txid)}</D:href><D:propstat><D:prop><D:resourcetype/><D:getcontentlength>5</D:getcontentlength></D:prop>${OK}</D:propstat></D:response>`;
const davFolder = `<D:response><D:href>/app/ltx/0/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>${OK}</D:propstat></D:response>`;
const davPage = (rows: readonly string[]): string =>
  `<D:multistatus xmlns:D="DAV:">${davFolder}${rows.join('')}</D:multistatus>`;

const backends: Readonly<Record<string, Backend>> = {
  s3: {
    client: () => new S3ReplicaClient({ ...place, endpoint, ...keys }, {}),
    status: 200,
    row: s3Row,
    page: s3Page,
    pages: true,
    foreign: s3Foreign,
  },
  oss: {
    client: () => new OssReplicaClient({ ...place, endpoint, ...keys }, {}),
    status: 200,
    row: s3Row,
    page: s3Page,
    pages: true,
    foreign: { ...s3Foreign, 'an error': '<Error><Code>AccessDenied</Code></Error>' },
  },
  abs: {
    client: () =>
      new AbsReplicaClient({ ...place, endpoint: `${endpoint}/me`, accountName: 'me', accountKey: 'YQ==' }, {}),
    status: 200,
    row: absRow,
    page: absPage,
    pages: true,
    foreign: {
      'a root alone': '<EnumerationResults/>',
      'an error': '<Error><Code>AccessDenied</Code></Error>',
      'a file without a name': absPage([absRow(1).replace(/<Name>.*<\/Name>/, '')]),
      'a file without a size': absPage([absRow(1).replace(/<Content-Length>.*<\/Content-Length>/, '')]),
    },
  },
  gs: {
    client: () => new GcsReplicaClient({ ...place, endpoint }, {}),
    status: 200,
    row: gcsRow,
    page: gcsPage,
    pages: true,
    foreign: {
      'an error': '{"error":"log in"}',
      'a file without a name': gcsPage(['{"size":"5"}']),
      'a file without a size': gcsPage([gcsRow(1).replace('"size":"5",', '')]),
    },
  },
  webdav: {
    client: () => new WebdavReplicaClient({ url: endpoint, path: 'app' }),
    status: 207,
    row: davRow,
    page: davPage,
    pages: false,
    foreign: {
      'a listing that does not name the folder': '<D:multistatus xmlns:D="DAV:"/>',
      'a listing cut short by the server': davPage([
        davRow(1),
        '<D:response><D:href>/app/ltx/0/</D:href><D:status>HTTP/1.1 507 Insufficient Storage</D:status></D:response>',
      ]),
      'a file without a name': davPage([davRow(1).replace(/<D:href>.*<\/D:href>/, '')]),
      'a file without a size': davPage([davRow(1).replace(/<D:getcontentlength>.*<\/D:getcontentlength>/, '')]),
      'a name with a broken escape': davPage([davRow(1).replace('/app/', '/%zz/')]),
    },
  },
};

async function listed(backend: Backend, ...pages: string[]): Promise<unknown> {
  answers = pages;
  count = 0;
  ({ status } = backend);
  await using client = guardClient(backend.client(), { retry: { attemptCountMax: 1 } });
  const files = await Array.fromAsync(client.ltxFiles(0, {}));
  return files.map(({ minTxid, size }) => [Number(minTxid), size]);
}

const nobodys = {
  'an empty body': '',
  'a login page': '<html><body>log in</body></html>',
  'a page of old HTML': '<html><br>log in',
  text: 'OK',
  null: 'null',
  'an empty object': '{}',
};

describe.each(Object.entries(backends))('%s', (_name, backend) => {
  const { row, page, pages } = backend;

  test.each(Object.entries({ ...nobodys, ...backend.foreign }))('%s is an error', async (_what, body) => {
    await expect(listed(backend, body)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  test('a listing cut anywhere is an error', async () => {
    const whole = page([row(1), row(2)]);
    for (let length = whole.length - 1; length > 0; length -= 37) {
      await expect(listed(backend, whole.slice(0, length)), whole.slice(0, length)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      });
    }
  });

  test('a file told twice is one file', async () => {
    const twice = [
      [1, 5],
      [2, 5],
    ];
    expect(await listed(backend, page([row(1), row(1), row(2)]))).toEqual(twice);
    if (pages) expect(await listed(backend, page([row(1)], 'next'), page([row(1), row(2)]))).toEqual(twice);
  });

  test.skipIf(!pages)('a token that comes again is an error', async () => {
    const cycle = [1, 2, 3, 4].map((txid) => page([row(txid)], txid % 2 === 1 ? 'odd' : 'even'));
    await expect(listed(backend, ...cycle, page([row(5)]))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

test('restore -if-replica-exists fails where a login page answers', async () => {
  await using folder = await temporaryFolder('login-page');
  answers = [nobodys['a login page']];
  status = 200;
  const env = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };
  const url = `s3://bucket/app?endpoint=${endpoint}&region=us-east-1`;
  const child = tsProgram(env).start('restore', '-if-replica-exists', '-o', join(folder.path, 'app.db'), url);
  expect(await child.exited).toMatchObject({ code: 1 });
  expect(child.stderr).toContain('it is not a valid listing');
});
