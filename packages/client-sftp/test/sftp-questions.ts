/** Requests of SFTP, version 3, as the library sends them one by one, and the status a server answers each with. */
import { readFile } from 'node:fs/promises';

import type { Client, SFTPWrapper } from 'ssh2';
import ssh2 from 'ssh2';

import { Transcript } from '../../../tests/services/fidelity/transcript.ts';

export interface SftpLogin {
  /** `address:port` */
  readonly host: string;
  readonly user: string;
  readonly keyPath: string;
  /** A folder of the server that holds nothing. */
  readonly folder: string;
}

type Done = (error: Error | null | undefined, result?: unknown) => void;

/** Asks everything, in a folder that holds nothing. */
export async function askSftp({ host, user, keyPath, folder }: SftpLogin): Promise<Transcript> {
  const transcript = new Transcript();
  const client: Client = new ssh2.Client();
  const [address = '', port = '22'] = host.split(':');
  const privateKey = await readFile(keyPath);
  const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
    client.on('error', reject);
    client.on('ready', () => client.sftp((error, channel) => (error === undefined ? resolve(channel) : reject(error))));
    client.connect({ host: address, port: Number(port), username: user, privateKey });
  });
  const path = (name: string): string => `${folder}/fidelity${name === '' ? '' : `/${name}`}`;
  /** Notes the status, and what `factOf` says of the result. Resolves to the result of what succeeded. */
  const asking = <T>(name: string, start: (done: Done) => void, factOf: (result: T) => unknown = () => undefined) =>
    new Promise<T>((resolve) => {
      start((error, result) => {
        const status = error === null || error === undefined ? 'ok' : (error as { code?: unknown }).code;
        transcript.note(name, { status, ...(status === 'ok' ? { fact: factOf(result as T) } : {}) });
        resolve(result as T);
      });
    });
  const names = (list: readonly { filename: string }[]): string[] =>
    list
      .map(({ filename }) => filename)
      .filter((name) => name !== '.' && name !== '..')
      .sort();
  const size = (stats: { size: number }): number => stats.size;

  await asking('a missing folder is listed', (done) => sftp.readdir(path(''), done));
  await asking('a folder is made below a missing one', (done) => sftp.mkdir(path('a'), done));
  await asking('a folder is made', (done) => sftp.mkdir(path(''), done));
  await asking('it is made again', (done) => sftp.mkdir(path(''), done));
  await asking('an empty folder is listed', (done) => sftp.readdir(path(''), done), names);

  const store = async (name: string, text: string): Promise<void> => {
    const handle = await asking<Buffer>(`${name} is opened to write`, (done) => sftp.open(path(name), 'w', done));
    const bytes = Buffer.from(text);
    if (bytes.length > 0) {
      await asking(`${name} is written`, (done) => sftp.write(handle, bytes, 0, bytes.length, 0, done));
    }
    await asking(`the time of ${name} is set`, (done) => sftp.futimes(handle, 1_700_000_000, 1_700_000_000, done));
    await asking(`${name} is brought to the disk`, (done) => sftp.ext_openssh_fsync(handle, done));
    await asking(`${name} is closed`, (done) => sftp.close(handle, done));
  };
  await asking('a file below a missing folder', (done) => sftp.open(path('none/a'), 'w', done));
  await store('a', '0123456789');
  await store('empty', '');
  await asking(
    'a is looked at',
    (done) => sftp.stat(path('a'), done),
    ({ size: bytes, mtime }: { size: number; mtime: number }) => [bytes, mtime],
  );
  await asking('empty is looked at', (done) => sftp.stat(path('empty'), done), size);
  await asking('a missing file is looked at', (done) => sftp.stat(path('nothing'), done));
  await asking('a missing file is opened', (done) => sftp.open(path('nothing'), 'r', done));
  const handle = await asking<Buffer>('a is opened to read', (done) => sftp.open(path('a'), 'r', done));
  await asking('its handle is looked at', (done) => sftp.fstat(handle, done), size);
  for (const [from, count] of [
    [0, 10],
    [3, 4],
    [8, 100],
    [10, 5],
    [50, 5],
  ] as const) {
    const bytes = Buffer.alloc(count);
    await asking<number>(
      `${count} bytes from ${from} on, of ten`,
      (done) => sftp.read(handle, bytes, 0, count, from, done),
      (read) => bytes.subarray(0, read).toString(),
    );
  }
  await asking('a is closed again', (done) => sftp.close(handle, done));

  await asking('a is renamed over another', (done) => sftp.rename(path('a'), path('empty'), done));
  await asking('it is renamed over another the POSIX way', (done) =>
    sftp.ext_openssh_rename(path('a'), path('empty'), done),
  );
  await asking('what was renamed is looked at', (done) => sftp.stat(path('empty'), done), size);
  await asking('a file is renamed', (done) => sftp.rename(path('empty'), path('b'), done));
  await asking('a missing file is renamed', (done) => sftp.rename(path('nothing'), path('c'), done));
  await asking('a missing file is renamed the POSIX way', (done) =>
    sftp.ext_openssh_rename(path('nothing'), path('c'), done),
  );
  await asking('a file is renamed below a missing folder', (done) =>
    sftp.ext_openssh_rename(path('b'), path('none/b'), done),
  );
  await asking('a name with spaces and unicode', (done) => sftp.mkdir(path('a b ü 日本'), done));
  await asking('what is there is listed', (done) => sftp.readdir(path(''), done), names);
  await asking('a folder that holds something is removed', (done) => sftp.rmdir(path(''), done));
  await asking('a folder is removed as a file', (done) => sftp.unlink(path('a b ü 日本'), done));
  await asking('an empty folder is removed', (done) => sftp.rmdir(path('a b ü 日本'), done));
  await asking('a missing folder is removed', (done) => sftp.rmdir(path('none'), done));
  await asking('a file is removed', (done) => sftp.unlink(path('b'), done));
  await asking('it is removed again', (done) => sftp.unlink(path('b'), done));
  await asking('the folder is removed', (done) => sftp.rmdir(path(''), done));
  client.end();
  return transcript;
}
