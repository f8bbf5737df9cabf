/** Raw requests to the JSON API of Cloud Storage, and what a server answers. */
import { type Facts, type Heard, type Question, Transcript, ask, bodyFact, headerFacts } from './transcript.ts';

const KIB = 1024;
const METADATA = { 'litestream-timestamp': '2026-11-24T01:02:03.65Z' };
const TYPE = 'application/octet-stream';

type Asking = (name: string, method: string, url: string, rest?: Partial<Question>) => Promise<Heard>;
/** URLs of a bucket. */
interface Urls {
  readonly objects: string;
  readonly uploads: string;
}

/** Asks everything, in a bucket that has nothing under `fidelity/`. */
export async function askGcs(endpoint: string, bucket: string): Promise<Transcript> {
  const transcript = new Transcript();
  const asking: Asking = async (name, method, url, rest = {}) => {
    const heard = await ask(endpoint, { method, url, ...rest });
    transcript.note(name, answerFacts(url, heard));
    return heard;
  };
  const urls = urlsOf(bucket);
  await objects(asking, urls);
  await conditions(asking, urls);
  await listings(asking, urls);
  await resumable(asking, urls);
  const nowhere = urlsOf('bucket-that-is-not-there');
  await asking('a missing bucket is listed', 'GET', `${nowhere.objects}?prefix=fidelity`);
  await asking('an object of a missing bucket is read', 'GET', media(nowhere, 'a'));
  await store(asking, nowhere, 'an object of a missing bucket is stored', 'fidelity/a', 'x');
  return transcript;
}

async function objects(asking: Asking, urls: Urls): Promise<void> {
  const key = 'fidelity/a';
  await store(asking, urls, 'an object is stored', key, '0123456789');
  await asking('it is read whole', 'GET', media(urls, key));
  await asking('its metadata are read', 'GET', metadata(urls, key));
  for (const range of ['0-0', '2-4', '5-', '8-99', '9-9', '10-', '10-12', '20-30']) {
    await asking(`range ${range} of ten bytes`, 'GET', media(urls, key), { headers: { range: `bytes=${range}` } });
  }
  await store(asking, urls, 'an empty object is stored', 'fidelity/empty', '');
  await asking('the empty object is read', 'GET', media(urls, 'fidelity/empty'));
  await asking('range 0- of no bytes', 'GET', media(urls, 'fidelity/empty'), { headers: { range: 'bytes=0-' } });
  await asking('a missing object is read', 'GET', media(urls, 'fidelity/nothing'));
  await asking('the metadata of a missing object', 'GET', metadata(urls, 'fidelity/nothing'));
  await asking('a missing object is deleted', 'DELETE', metadata(urls, 'fidelity/nothing'));
  await store(asking, urls, 'an object is overwritten', key, 'other');
  await asking('the new one is read', 'GET', media(urls, key));
  await asking('an object is deleted', 'DELETE', metadata(urls, key));
  await asking('it is gone', 'GET', media(urls, key));
}

async function conditions(asking: Asking, urls: Urls): Promise<void> {
  const key = 'fidelity/lock.json';
  const when = (generation: string): string => `&ifGenerationMatch=${generation}`;
  const remove = (name: string, generation: string): Promise<Heard> =>
    asking(name, 'DELETE', `${metadata(urls, key)}?ifGenerationMatch=${generation}`);
  await store(asking, urls, 'replaced under a generation, where there is none', key, 'x', when('1'));
  const first = await store(asking, urls, 'created where there must be none', key, 'first', when('0'));
  await store(asking, urls, 'created where there must be none, but is one', key, 'second', when('0'));
  await store(asking, urls, 'replaced under a wrong generation', key, 'second', when('1'));
  const second = await store(
    asking,
    urls,
    'replaced under the right generation',
    key,
    'second',
    when(generationOf(first)),
  );
  await store(asking, urls, 'replaced under the generation of before', key, 'third', when(generationOf(first)));
  await remove('deleted under the right generation', generationOf(second));
  await asking('read after it was deleted', 'GET', media(urls, key));
  await remove('deleted under a generation, where there is none', '1');
  await store(asking, urls, 'stored once more', key, 'last');
  await remove('deleted under a wrong generation', '1');
  await asking('read after that', 'GET', media(urls, key));
}

async function listings(asking: Asking, urls: Urls): Promise<void> {
  const keys = ['b', 'B', 'a/2', 'a/10', 'a b', 'a+b', 'a&b', 'é', 'z~', 'a-', '日本', '0'];
  for (const key of keys) await store(asking, urls, `“${key}” is stored`, `fidelity/list/${key}`, key);
  const list = (name: string, query: Record<string, string>): Promise<Heard> =>
    asking(name, 'GET', `${urls.objects}?${new URLSearchParams({ prefix: 'fidelity/list/', ...query }).toString()}`);
  await list('names come in the order of their bytes', {});
  await list('a listing of nothing', { prefix: 'fidelity/nowhere/' });
  await list('a prefix within a name', { prefix: 'fidelity/list/a' });
  await list('a listing from a name on', { startOffset: 'fidelity/list/a/2' });
  await list('a listing from a name on that is not there', { startOffset: 'fidelity/list/a/3' });
  let token: string | undefined;
  for (let page = 1; page === 1 || (token !== undefined && page < 10); page++) {
    const more = token === undefined ? {} : { pageToken: token };
    const heard = await list(`page ${page} of five names each`, { maxResults: '5', ...more });
    token = (JSON.parse(heard.body.toString()) as { nextPageToken?: string }).nextPageToken;
  }
}

async function resumable(asking: Asking, urls: Urls): Promise<void> {
  const key = 'fidelity/large';
  const begin = async (name: string, condition = ''): Promise<string> => {
    const query = `uploadType=resumable&name=${encodeURIComponent(key)}${condition}`;
    const heard = await asking(name, 'POST', `${urls.uploads}?${query}`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: key, contentType: TYPE, metadata: METADATA }),
    });
    const { pathname, search } = new URL(heard.headers.location ?? 'http://nowhere/');
    return pathname + search;
  };
  const send = (name: string, session: string, range: string, body: Buffer): Promise<Heard> =>
    asking(name, 'PUT', session, { headers: { 'content-range': `bytes ${range}` }, body });
  const session = await begin('a session begins');
  const size = 512 * KIB + 5;
  await send('a part is sent', session, `0-${256 * KIB - 1}/*`, Buffer.alloc(256 * KIB, 1));
  await asking('an object whose session is open', 'GET', media(urls, key));
  await send('another part is sent', session, `${256 * KIB}-${512 * KIB - 1}/*`, Buffer.alloc(256 * KIB, 2));
  await send('the last part is sent', session, `${512 * KIB}-${size - 1}/${size}`, Buffer.alloc(5, 3));
  await asking('the object of parts is read', 'GET', media(urls, key));
  const empty = await begin('a session for nothing begins');
  await send('it ends with no byte', empty, '*/0', Buffer.alloc(0));
  const condition = await begin('a session begins where there must be none, but is one', '&ifGenerationMatch=0');
  await send('its last part is sent', condition, '0-4/5', Buffer.alloc(5, 4));
  const asked = await begin('a session whose state is asked begins');
  await send('its first part is sent', asked, `0-${256 * KIB - 1}/*`, Buffer.alloc(256 * KIB, 6));
  await send('how far it is', asked, '*/*', Buffer.alloc(0));
  const closed = await begin('a session that is given up begins');
  await asking('it is given up', 'DELETE', closed);
  await send('a part of a session that was given up', closed, '0-4/5', Buffer.alloc(5, 5));
}

/** Stores an object in one request, as our client does. */
function store(asking: Asking, urls: Urls, name: string, key: string, body: string, condition = ''): Promise<Heard> {
  const boundary = 'fidelity-boundary';
  const resource = JSON.stringify({ name: key, contentType: TYPE, metadata: METADATA });
  const lines = [`--${boundary}`, 'content-type: application/json', '', resource];
  lines.push(`--${boundary}`, `content-type: ${TYPE}`, '', body, `--${boundary}--`);
  return asking(name, 'POST', `${urls.uploads}?uploadType=multipart&name=${encodeURIComponent(key)}${condition}`, {
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: lines.join('\r\n'),
  });
}

function urlsOf(bucket: string): Urls {
  return { objects: `/storage/v1/b/${bucket}/o`, uploads: `/upload/storage/v1/b/${bucket}/o` };
}

function metadata({ objects: url }: Urls, key: string): string {
  return `${url}/${encodeURIComponent(key)}`;
}

function media(urls: Urls, key: string): string {
  return `${metadata(urls, key)}?alt=media`;
}

function generationOf({ body }: Heard): string {
  return String((JSON.parse(body.toString()) as { generation?: string | number }).generation);
}

interface Resource {
  readonly name?: string;
  readonly size?: string;
  readonly contentType?: string;
  readonly generation?: string | number;
  readonly updated?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

function answerFacts(url: string, { status, headers, body }: Heard): Facts {
  if (status === 308) return { status, range: headers.range };
  if (status >= 300) return { status };
  if (headers.location !== undefined) return { status, session: true };
  if (url.includes('alt=media')) {
    return {
      status,
      ...headerFacts(headers, ['content-length', 'content-range', 'last-modified', 'x-goog-generation']),
      body: bodyFact(body),
    };
  }
  if (!String(headers['content-type']).startsWith('application/json')) return { status };
  const told = (JSON.parse(body.toString() || '{}') ?? {}) as Resource & {
    readonly items?: readonly Resource[];
    readonly nextPageToken?: string;
  };
  if (/\/o\?/.test(url) && !url.startsWith('/upload/')) {
    return { status, items: (told.items ?? []).map(resourceFacts), token: told.nextPageToken !== undefined };
  }
  return { status, ...resourceFacts(told) };
}

function resourceFacts({ name, size, contentType, generation, updated, metadata: own }: Resource): Facts {
  const numbered = generation === undefined ? undefined : /^\d+$/.test(String(generation));
  return {
    name,
    size,
    contentType,
    metadata: own,
    generation: numbered,
    updated: !Number.isNaN(Date.parse(updated ?? '')),
  };
}
