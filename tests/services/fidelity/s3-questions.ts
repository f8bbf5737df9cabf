/** Raw requests to an S3 server, and what it answers: everything our client relies on, and what it must be refused. */
import { createHash } from 'node:crypto';

import { unescapeXml } from '../../support/protocol-server.ts';
import { type S3Login, signed } from './s3-sign.ts';
import { type Facts, type Heard, type Question, Transcript, ask, bodyFact, headerFacts } from './transcript.ts';

const MIB = 1024 * 1024;
const OBJECT_HEADERS = ['content-length', 'content-range', 'content-type', 'etag', 'last-modified'];
const META = 'x-amz-meta-litestream-timestamp';
const TIME = '2026-11-24T01:02:03.65Z';

type Asking = (name: string, method: string, url: string, rest?: Partial<Question>) => Promise<Heard>;

/** Asks everything, in a bucket that has nothing under `fidelity/`. */
export async function askS3(login: S3Login, bucket: string): Promise<Transcript> {
  const transcript = new Transcript();
  const root = `/${bucket}/fidelity`;
  const asking: Asking = async (name, method, url, rest = {}) => {
    const heard = await ask(login.endpoint, signed({ method, url, ...rest }, login));
    transcript.note(name, answerFacts(method, url, heard));
    return heard;
  };
  await objects(asking, root);
  await conditions(asking, root);
  await listings(asking, root, bucket);
  await batches(asking, root, bucket);
  await multipart(asking, root);
  await refusals(asking, root, login, transcript);
  return transcript;
}

async function objects(asking: Asking, root: string): Promise<void> {
  const headers = { 'content-type': 'application/octet-stream', [META]: TIME };
  const url = `${root}/a`;
  await asking('an object is stored', 'PUT', url, { body: '0123456789', headers });
  await asking('it is read whole', 'GET', url);
  await asking('its head is read', 'HEAD', url);
  for (const range of ['0-0', '2-4', '5-', '8-99', '9-9', '10-', '10-12', '20-30']) {
    await asking(`range ${range} of ten bytes`, 'GET', url, { headers: { range: `bytes=${range}` } });
  }
  await asking('an empty object is stored', 'PUT', `${root}/empty`, { body: '', headers });
  await asking('the empty object is read', 'GET', `${root}/empty`);
  await asking('range 0- of no bytes', 'GET', `${root}/empty`, { headers: { range: 'bytes=0-' } });
  await asking('a missing object is read', 'GET', `${root}/nothing`);
  await asking('the head of a missing object is read', 'HEAD', `${root}/nothing`);
  await asking('a range of a missing object is read', 'GET', `${root}/nothing`, { headers: { range: 'bytes=0-3' } });
  await asking('a missing object is deleted', 'DELETE', `${root}/nothing`);
  await asking('an object is overwritten', 'PUT', url, { body: 'other', headers });
  await asking('the new one is read', 'GET', url);
  await asking('an object is deleted', 'DELETE', url);
  await asking('it is gone', 'GET', url);
}

async function conditions(asking: Asking, root: string): Promise<void> {
  const url = `${root}/lock.json`;
  const wrong = '"00000000000000000000000000000000"';
  const put = (name: string, body: string, headers: Record<string, string>): Promise<Heard> =>
    asking(name, 'PUT', url, { body, headers });
  await put('replaced under If-Match, where there is none', 'x', { 'if-match': wrong });
  const first = await put('created under If-None-Match', 'first', { 'if-none-match': '*' });
  await put('created under If-None-Match, where there is one', 'second', { 'if-none-match': '*' });
  await put('replaced under a wrong If-Match', 'second', { 'if-match': wrong });
  const second = await put('replaced under the right If-Match', 'second', { 'if-match': etagOf(first) });
  await put('replaced under the If-Match of before', 'third', { 'if-match': etagOf(first) });
  await asking('read under a wrong If-Match', 'GET', url, { headers: { 'if-match': wrong } });
  await asking('read under the right If-Match', 'GET', url, { headers: { 'if-match': etagOf(second) } });
  await asking('deleted under a wrong If-Match', 'DELETE', url, { headers: { 'if-match': wrong } });
  await asking('read after that', 'GET', url);
  await asking('deleted under the right If-Match', 'DELETE', url, { headers: { 'if-match': etagOf(second) } });
  await asking('read after it was deleted', 'GET', url);
  await asking('deleted under If-Match, where there is none', 'DELETE', url, { headers: { 'if-match': wrong } });
}

async function listings(asking: Asking, root: string, bucket: string): Promise<void> {
  const keys = ['b', 'B', 'a/2', 'a/10', 'a b', 'a+b', 'a&b', 'é', 'z~', 'a-', '日本', '0'];
  for (const key of keys) await asking(`“${key}” is stored`, 'PUT', `${root}/list/${encode(key)}`, { body: key });
  const list = (name: string, query: Record<string, string>): Promise<Heard> =>
    asking(name, 'GET', `/${bucket}?${queryOf({ 'list-type': '2', prefix: 'fidelity/list/', ...query })}`);
  await list('names come in the order of their bytes', {});
  await list('a listing of nothing', { prefix: 'fidelity/nowhere/' });
  await list('a prefix within a name', { prefix: 'fidelity/list/a' });
  await list('a listing after a name', { 'start-after': 'fidelity/list/a/2' });
  await list('a listing after a name that is not there', { 'start-after': 'fidelity/list/a/3' });
  let token: string | undefined;
  for (let page = 1; page === 1 || (token !== undefined && page < 10); page++) {
    const more = token === undefined ? {} : { 'continuation-token': token };
    const heard = await list(`page ${page} of five names each`, { 'max-keys': '5', ...more });
    token = textOf(heard.body.toString(), 'NextContinuationToken');
  }
}

async function batches(asking: Asking, root: string, bucket: string): Promise<void> {
  const names = ['a&b', 'é', 'a b', 'not there'].map((key) => `<Object><Key>fidelity/list/${xml(key)}</Key></Object>`);
  const body = `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${names.join('')}<Quiet>true</Quiet></Delete>`;
  const digest = { 'content-md5': createHash('md5').update(body).digest('base64') };
  const url = `/${bucket}?delete=`;
  await asking('a batch is deleted', 'POST', url, { body, headers: digest });
  const query = queryOf({ 'list-type': '2', prefix: 'fidelity/list/' });
  await asking('what the batch left', 'GET', `/${bucket}?${query}`);
  await asking('a batch without a digest', 'POST', url, { body });
  await asking('a batch with a wrong digest', 'POST', url, {
    body,
    headers: { 'content-md5': createHash('md5').update('x').digest('base64') },
  });
  await asking('a batch that is no XML', 'POST', url, {
    body: 'x',
    headers: { 'content-md5': createHash('md5').update('x').digest('base64') },
  });
  await asking('an object beside it', 'GET', `${root}/list/b`);
}

async function multipart(asking: Asking, root: string): Promise<void> {
  const url = `${root}/large`;
  const headers = { 'content-type': 'application/octet-stream', [META]: TIME };
  const begin = async (name: string): Promise<string> => {
    const heard = await asking(name, 'POST', `${url}?uploads=`, { headers });
    return textOf(heard.body.toString(), 'UploadId') ?? '';
  };
  const part = (name: string, id: string, number: number, body: Buffer): Promise<Heard> =>
    asking(name, 'PUT', `${url}?${queryOf({ partNumber: String(number), uploadId: id })}`, { body });
  const complete = (name: string, id: string, tags: readonly string[]): Promise<Heard> => {
    const parts = tags.map((tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${tag}</ETag></Part>`);
    const body = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join('')}</CompleteMultipartUpload>`;
    return asking(name, 'POST', `${url}?${queryOf({ uploadId: id })}`, { body });
  };
  const id = await begin('an upload of parts begins');
  const first = await part('part 1 is sent', id, 1, Buffer.alloc(5 * MIB, 1));
  const second = await part('part 2 is sent', id, 2, Buffer.alloc(10, 2));
  await asking('an object of parts before it is complete', 'GET', url);
  await complete('an upload is completed', id, [etagOf(first), etagOf(second)]);
  await asking('the object of parts is read', 'GET', url);
  await asking('a range over two parts is read', 'GET', url, {
    headers: { range: `bytes=${5 * MIB - 2}-${5 * MIB + 1}` },
  });
  await asking('the head of the object of parts', 'HEAD', url);
  await part('a part of an upload that is complete', id, 3, Buffer.alloc(10));
  const small = await begin('a second upload of parts begins');
  const tags = [
    etagOf(await part('a part below the smallest size is sent', small, 1, Buffer.alloc(10, 1))),
    etagOf(await part('one after it', small, 2, Buffer.alloc(10, 2))),
  ];
  await complete('an upload with a part that is too small is completed', small, tags);
  await asking('an upload is aborted', 'DELETE', `${url}?${queryOf({ uploadId: small })}`);
  await part('a part of an upload that was aborted', small, 3, Buffer.alloc(10));
  await asking('the object is the one of before', 'HEAD', url);
  const third = await begin('a third upload of parts begins');
  await part('its only part is sent', third, 1, Buffer.alloc(10, 3));
  await complete('an upload is completed with a part of another ETag', third, [etagOf(first)]);
}

async function refusals(asking: Asking, root: string, login: S3Login, transcript: Transcript): Promise<void> {
  const nowhere = '/bucket-that-is-not-there';
  await asking('an object of a missing bucket is read', 'GET', `${nowhere}/a`);
  await asking('an object of a missing bucket is stored', 'PUT', `${nowhere}/a`, { body: 'x' });
  await asking('a missing bucket is listed', 'GET', `${nowhere}?${queryOf({ 'list-type': '2' })}`);
  await asking('the head of a missing bucket', 'HEAD', nowhere);
  await asking('a body that is not the digest it names', 'PUT', `${root}/digest`, {
    body: 'x',
    headers: { 'content-md5': createHash('md5').update('y').digest('base64') },
  });
  await asking('a body that is not the hash it names', 'PUT', `${root}/hash`, {
    body: 'x',
    headers: { 'x-amz-content-sha256': createHash('sha256').update('y').digest('hex') },
  });
  await asking('a body whose hash is not named', 'PUT', `${root}/unsigned`, {
    body: 'x',
    headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
  });
  const question = { method: 'GET', url: `${root}/list/b` };
  const stranger = { ...login, accessKeyId: 'nobody' };
  const thief = { ...login, secretAccessKey: 'notthisonenotthisone' };
  const far = { ...login, region: 'eu-west-3' };
  const note = async (name: string, asked: Question): Promise<void> =>
    transcript.note(name, answerFacts('GET', asked.url, await ask(login.endpoint, asked)));
  await note('an unknown key', signed(question, stranger));
  await note('a wrong secret', signed(question, thief));
  await note('another region', signed(question, far));
  await note('a clock an hour late', signed(question, login, Date.now() - 3_600_000));
  await note('no signature', question);
}

/** What counts of an answer: of objects and refusals everything, of listings the rows. */
function answerFacts(method: string, url: string, { status, headers, body }: Heard): Facts {
  const text = body.toString();
  if (status >= 300) return { status, code: method === 'HEAD' ? undefined : textOf(text, 'Code') };
  if (url.includes('list-type=2')) {
    const rows = [...text.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, row = '']) => row);
    const key = (row: string): string => unescapeXml(textOf(row, 'Key') ?? '');
    return {
      status,
      names: rows.map((row) => `${key(row)} ${textOf(row, 'Size')}`),
      truncated: textOf(text, 'IsTruncated'),
      token: textOf(text, 'NextContinuationToken') !== undefined,
      dates: rows.every((row) => !Number.isNaN(Date.parse(textOf(row, 'LastModified') ?? ''))),
    };
  }
  if (method === 'POST') {
    const tag = unescapeXml(textOf(text, 'ETag') ?? '');
    const error = textOf(text, 'Code');
    return { status, error, etag: tag === '' ? undefined : /-\d+"?$/.exec(tag)?.[0], id: text.includes('<UploadId>') };
  }
  if (method === 'GET' || method === 'HEAD') {
    return { status, ...headerFacts(headers, [...OBJECT_HEADERS, META]), body: bodyFact(body) };
  }
  return { status, ...headerFacts(headers, ['etag']) };
}

function etagOf({ headers }: Heard): string {
  return headers.etag ?? '"none"';
}

function textOf(text: string, tag: string): string | undefined {
  return new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(text)?.[1];
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll('%2F', '/');
}

function queryOf(query: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return pairs.sort().join('&');
}

function xml(text: string): string {
  return text.replaceAll('&', '&amp;');
}
