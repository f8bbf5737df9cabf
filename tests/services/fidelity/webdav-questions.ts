/** Raw requests of WebDAV, and what a server answers. */
import type { IncomingHttpHeaders } from 'node:http';

import { Transcript, ask, bodyFact, headerFacts } from './transcript.ts';
import type { Question } from './transcript.ts';

export interface WebdavLogin {
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

/** Asks everything, below a folder that is not there yet. */
export async function askWebdav({ url, username, password }: WebdavLogin): Promise<Transcript> {
  const transcript = new Transcript();
  const login = (secret: string): string => `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`;
  const asking = async (name: string, method: string, path: string, rest: Partial<Question> = {}): Promise<void> => {
    const headers = { authorization: login(password), ...rest.headers };
    const heard = await ask(url, { method, url: path, ...rest, headers });
    const reads = method === 'GET' && heard.status < 300;
    transcript.note(name, {
      status: heard.status,
      ...(heard.status === 401 ? { challenge: /^\w+/.exec(heard.headers['www-authenticate'] ?? '')?.[0] } : {}),
      ...(reads ? headerFacts(strong(heard.headers), ['content-length', 'content-range', 'etag']) : {}),
      ...(reads ? { body: bodyFact(heard.body) } : {}),
      ...(method === 'PROPFIND' && heard.status === 207 ? { rows: rowsOf(heard.body.toString()) } : {}),
    });
  };
  const look = (name: string, path: string, depth: string): Promise<void> =>
    asking(name, 'PROPFIND', path, { headers: { depth } });
  const put = (name: string, path: string, body: string): Promise<void> => asking(name, 'PUT', path, { body });
  const move = (name: string, from: string, to: string): Promise<void> =>
    asking(name, 'MOVE', from, { headers: { destination: url + to, overwrite: 'T' } });

  await asking('no login', 'PROPFIND', '/', { headers: { authorization: '', depth: '0' } });
  await asking('a wrong password', 'PROPFIND', '/', { headers: { authorization: login('wrong'), depth: '0' } });
  await look('a missing collection is listed', '/fidelity/', '1');
  await asking('a collection is made below a missing one', 'MKCOL', '/fidelity/a/');
  await asking('a collection is made', 'MKCOL', '/fidelity/');
  await asking('it is made again', 'MKCOL', '/fidelity/');
  await look('an empty collection is listed', '/fidelity/', '1');

  await put('a file is stored', '/fidelity/a', '0123456789');
  await put('a file is stored below a missing collection', '/fidelity/none/a', 'x');
  await asking('it is read', 'GET', '/fidelity/a');
  for (const range of ['0-0', '2-4', '5-', '8-99', '10-', '20-30']) {
    await asking(`range ${range} of ten bytes`, 'GET', '/fidelity/a', { headers: { range: `bytes=${range}` } });
  }
  await asking('a missing file is read', 'GET', '/fidelity/nothing');
  await put('a file is overwritten', '/fidelity/a', 'other');
  await asking('the new one is read', 'GET', '/fidelity/a');
  await put('a file of no bytes is stored', '/fidelity/empty', '');
  await asking('it is read, of no bytes', 'GET', '/fidelity/empty');
  await put('a name with signs of URLs', '/fidelity/a%20b%2Bc%25%23%C3%BC', 'x');
  await asking('it is read by its name', 'GET', '/fidelity/a%20b%2Bc%25%23%C3%BC');
  await look('a file alone', '/fidelity/a', '0');
  await look('a collection alone', '/fidelity/', '0');
  await look('a collection with files', '/fidelity/', '1');

  await move('a file is moved', '/fidelity/a', '/fidelity/b');
  await asking('it is gone from where it was', 'GET', '/fidelity/a');
  await asking('it is where it was moved to', 'GET', '/fidelity/b');
  await move('a file is moved over another', '/fidelity/empty', '/fidelity/b');
  await asking('the other is replaced', 'GET', '/fidelity/b');
  await move('a missing file is moved', '/fidelity/nothing', '/fidelity/c');
  await move('a file is moved below a missing collection', '/fidelity/b', '/fidelity/none/b');

  await asking('a file is deleted', 'DELETE', '/fidelity/b');
  await asking('it is deleted again', 'DELETE', '/fidelity/b');
  await asking('a collection is deleted with what it holds', 'DELETE', '/fidelity/');
  await look('nothing is left of it', '/fidelity/', '1');
  return transcript;
}

/** Of a file that was written just now, Apache's ETag is weak for a second; the client takes either for the same. */
function strong(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return { ...headers, etag: headers.etag?.replace(/^W\//, '') };
}

/** Rows of a multistatus, by name: is it a collection, and what size does it have? */
function rowsOf(xml: string): Record<string, string> {
  const responses = [...xml.matchAll(/<(?:\w+:)?response\b[^>]*>(.*?)<\/(?:\w+:)?response>/gs)];
  const text = (row: string, name: string): string | undefined =>
    new RegExp(`<(?:\\w+:)?${name}\\b[^>]*>([^<]*)<`, 's').exec(row)?.[1];
  const rows = responses.map(([, row = '']): [string, string] => {
    const collection = /<(?:\w+:)?collection\b/.test(row);
    const dated = Number.isNaN(Date.parse(text(row, 'getlastmodified') ?? '')) ? 'undated' : 'dated';
    const what = collection ? 'collection' : `${text(row, 'getcontentlength')} bytes`;
    return [decodeURIComponent(text(row, 'href') ?? ''), `${what}, ${dated}`];
  });
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}
