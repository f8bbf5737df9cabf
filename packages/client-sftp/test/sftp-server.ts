/**
 * A small SFTP server for tests, on ssh2's own server half and a temporary folder: what npm alone can give. It counts
 * connections and open handles, and fails on demand. `npm run test:services` proves it faithful by running the same
 * suite on OpenSSH.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import {
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import ssh2 from 'ssh2';
import type { Attributes, AuthContext, Connection, FileEntry, SFTPWrapper } from 'ssh2';

import { publicKeyText } from '../src/host-key.ts';
import { newKeyPair } from './key-pair.ts';

const { STATUS_CODE, flagsToString } = ssh2.utils.sftp;

/** Answered with a status of the protocol, or by ending the connection, or not at all. */
export type Fault = { readonly status: number } | 'drop' | 'stall';
type Attempt = (request: string, path: string, count: number) => Fault | undefined;

/** The answer to INIT as the library sends it, and one that offers what OpenSSH offers. */
const VERSION = Buffer.from([0, 0, 0, 5, 2, 0, 0, 0, 3]);
const EXTENSIONS = ['posix-rename@openssh.com', '1', 'fsync@openssh.com', '1'];

export class SftpTestServer implements AsyncDisposable {
  readonly user = 'litestream';
  password = 'correct horse';
  readonly hostKey: string;
  readonly keyPath: string;
  readonly folder: string;
  /** Decides before each request whether it fails; `count` is that of requests of this kind so far. */
  fault: Attempt = () => undefined;
  /** Names in one answer about a folder, as OpenSSH has them: an answer must fit in a packet. */
  namesPerAnswer = 100;
  /** Offer the extensions of OpenSSH. */
  extensions = true;
  /** Take the password only as an answer to a prompt. */
  promptOnly = false;
  connectionCount = 0;
  openHandles = 0;
  readonly connections: Set<Connection> = new Set();
  readonly #server: ssh2.Server;
  /** Whose key may log in, in SSH's wire form. */
  publicKey: Buffer;
  readonly #counts = new Map<string, number>();

  static async start(): Promise<SftpTestServer> {
    const folder = await mkdtemp(join(tmpdir(), 'litestream-sftp-'));
    const host = newKeyPair();
    const user = newKeyPair();
    const keyPath = join(folder, 'id_ed25519');
    await writeFile(keyPath, user.private, { mode: 0o600 });
    await mkdir(join(folder, 'data'));
    const server = new SftpTestServer(folder, host, Buffer.from(user.public.split(' ')[1] ?? '', 'base64'));
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  private constructor(folder: string, host: { private: string; public: string }, publicKey: Buffer) {
    this.folder = folder;
    this.keyPath = join(folder, 'id_ed25519');
    this.hostKey = host.public;
    this.publicKey = publicKey;
    this.#server = new ssh2.Server({ hostKeys: [host.private] }, (connection) => this.#accept(connection));
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  /** The folder replicas lie in. */
  get data(): string {
    return join(this.folder, 'data');
  }

  /** Files under the data folder, as paths relative to it. */
  async files(): Promise<string[]> {
    const entries = await readdir(this.data, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.data.length + 1))
      .sort();
  }

  /** Ends every connection, as a network that breaks. */
  drop(): void {
    for (const connection of this.connections) connection.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await rm(this.folder, { recursive: true, force: true });
  }

  #accept(connection: Connection): void {
    this.connectionCount += 1;
    this.connections.add(connection);
    (connection as unknown as { setNoDelay(on: boolean): void }).setNoDelay(true);
    connection.on('error', () => undefined);
    connection.on('close', () => this.connections.delete(connection));
    connection.on('authentication', (context) => this.#authenticate(context));
    connection.on('session', (acceptSession) => {
      acceptSession().on('sftp', (acceptSftp) => this.#serve(acceptSftp(), connection));
    });
  }

  #authenticate(context: AuthContext): void {
    const accept = (right: boolean): void => {
      if (right && context.username === this.user) context.accept();
      else context.reject(['publickey', 'password', 'keyboard-interactive']);
    };
    if (context.method === 'password') accept(!this.promptOnly && same(context.password, this.password));
    else if (context.method === 'keyboard-interactive') {
      context.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
        accept(same(answers[0] ?? '', this.password)),
      );
    } else if (context.method === 'publickey') {
      const known = context.key.data.equals(this.publicKey);
      const parsed = ssh2.utils.parseKey(publicKeyText(this.publicKey));
      if (parsed instanceof Error) throw parsed;
      const { signature, blob, hashAlgo } = context;
      accept(known && (signature === undefined || (blob !== undefined && parsed.verify(blob, signature, hashAlgo))));
    } else accept(false);
  }

  #serve(sftp: SFTPWrapper, connection: Connection): void {
    if (this.extensions) offerExtensions(sftp);
    const handles = new Map<number, { file?: FileHandle; path: string; names?: string[] }>();
    let nextHandle = 0;
    const remember = (entry: { file?: FileHandle; path: string }): Buffer => {
      const handle = Buffer.alloc(4);
      handle.writeUInt32BE(++nextHandle);
      handles.set(nextHandle, entry);
      this.openHandles += 1;
      return handle;
    };
    const entryOf = (handle: Buffer): { file?: FileHandle; path: string; names?: string[] } => {
      const entry = handles.get(handle.readUInt32BE());
      if (entry === undefined) throw Object.assign(new Error('no such handle'), { code: 'EBADF' });
      return entry;
    };
    const pathOf = (handle: Buffer): string => handles.get(handle.readUInt32BE())?.path ?? '';
    const answer = (id: number, request: string, path: string, work: () => Promise<void>): void => {
      const count = (this.#counts.get(request) ?? 0) + 1;
      this.#counts.set(request, count);
      const fault = this.fault(request, path, count);
      if (fault === 'stall') return;
      if (fault === 'drop') connection.end();
      else if (fault !== undefined) sftp.status(id, fault.status, 'injected');
      else work().catch((error: unknown) => sftp.status(id, statusOf(error)));
    };
    const ok = (id: number): void => sftp.status(id, STATUS_CODE.OK);
    connection.on('close', () => {
      for (const { file } of handles.values()) file?.close().catch(() => undefined);
      this.openHandles -= handles.size;
      handles.clear();
    });

    sftp.on('OPEN', (id, path, flags) =>
      answer(id, 'OPEN', path, async () => {
        const file = await open(path, flagsToString(flags) ?? 'r');
        sftp.handle(id, remember({ file, path }));
      }),
    );
    sftp.on('READ', (id, handle, offset, size) =>
      answer(id, 'READ', pathOf(handle), async () => {
        const bytes = Buffer.alloc(size);
        const read = await entryOf(handle).file?.read(bytes, 0, size, offset);
        if (read === undefined || read.bytesRead === 0) sftp.status(id, STATUS_CODE.EOF);
        else sftp.data(id, bytes.subarray(0, read.bytesRead));
      }),
    );
    sftp.on('WRITE', (id, handle, offset, bytes) => {
      const copy = Buffer.from(bytes);
      answer(id, 'WRITE', pathOf(handle), async () => {
        await entryOf(handle).file?.write(copy, 0, copy.length, offset);
        ok(id);
      });
    });
    sftp.on('FSTAT', (id, handle) =>
      answer(id, 'FSTAT', pathOf(handle), async () => {
        const found = await entryOf(handle).file?.stat();
        if (found === undefined) sftp.status(id, STATUS_CODE.FAILURE);
        else sftp.attrs(id, attributes(found));
      }),
    );
    sftp.on('FSETSTAT', (id, handle, { atime, mtime }) =>
      answer(id, 'FSETSTAT', pathOf(handle), async () => {
        await entryOf(handle).file?.utimes(atime, mtime);
        ok(id);
      }),
    );
    sftp.on('SETSTAT', (id, path, { atime, mtime }) =>
      answer(id, 'SETSTAT', path, async () => {
        await utimes(path, atime, mtime);
        ok(id);
      }),
    );
    sftp.on('CLOSE', (id, handle) =>
      answer(id, 'CLOSE', pathOf(handle), async () => {
        const { file } = entryOf(handle);
        handles.delete(handle.readUInt32BE());
        this.openHandles -= 1;
        await file?.close();
        ok(id);
      }),
    );
    sftp.on('OPENDIR', (id, path) =>
      answer(id, 'OPENDIR', path, async () => {
        await readdir(path);
        sftp.handle(id, remember({ path }));
      }),
    );
    sftp.on('READDIR', (id, handle) =>
      answer(id, 'READDIR', pathOf(handle), async () => {
        const entry = entryOf(handle);
        entry.names ??= await readdir(entry.path);
        const names = entry.names.splice(0, this.namesPerAnswer);
        if (names.length === 0) sftp.status(id, STATUS_CODE.EOF);
        else sftp.name(id, await Promise.all(names.map((name) => fileEntry(entry.path, name))));
      }),
    );
    const status = async (id: number, path: string): Promise<void> => sftp.attrs(id, attributes(await stat(path)));
    sftp.on('STAT', (id, path) => answer(id, 'STAT', path, () => status(id, path)));
    sftp.on('LSTAT', (id, path) => answer(id, 'LSTAT', path, () => status(id, path)));
    sftp.on('MKDIR', (id, path) => answer(id, 'MKDIR', path, () => mkdir(path).then(() => ok(id))));
    sftp.on('RMDIR', (id, path) => answer(id, 'RMDIR', path, () => rmdir(path).then(() => ok(id))));
    sftp.on('REMOVE', (id, path) => answer(id, 'REMOVE', path, () => unlink(path).then(() => ok(id))));
    sftp.on('RENAME', (id, from, to) =>
      answer(id, 'RENAME', from, async () => {
        // Version 3 of the protocol forbids to rename over a file, and OpenSSH keeps to it: it links, then unlinks.
        try {
          await link(from, to);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
          return sftp.status(id, STATUS_CODE.FAILURE);
        }
        await unlink(from);
        ok(id);
      }),
    );
    sftp.on('EXTENDED', (id, name, data) =>
      answer(id, name, '', async () => {
        const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = strings(data);
        if (name === 'posix-rename@openssh.com') await rename(first.toString(), second.toString());
        else if (name === 'fsync@openssh.com') await entryOf(first).file?.sync();
        else return sftp.status(id, STATUS_CODE.OP_UNSUPPORTED);
        ok(id);
      }),
    );
  }
}

/** The library's server half offers no extensions; its first message is replaced on its way out. */
function offerExtensions(sftp: SFTPWrapper): void {
  const parts = EXTENSIONS.map((text) => {
    const part = Buffer.alloc(4 + text.length);
    part.writeUInt32BE(text.length);
    part.write(text, 4);
    return part;
  });
  const extended = Buffer.concat([VERSION, ...parts]);
  extended.writeUInt32BE(extended.length - 4);
  const { _protocol: protocol } = sftp as unknown as {
    _protocol: { channelData(id: number, data: Buffer): unknown };
  };
  const send = protocol.channelData.bind(protocol);
  protocol.channelData = (id, data) => send(id, data.equals(VERSION) ? extended : data);
}

async function fileEntry(folder: string, filename: string): Promise<FileEntry> {
  // A file may be gone between the listing and this.
  const found = await stat(join(folder, filename)).catch(() => undefined);
  const attrs = found === undefined ? { mode: 0, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 } : attributes(found);
  return { filename, longname: filename, attrs };
}

function attributes({ mode, uid, gid, size, atimeMs, mtimeMs }: Stats): Attributes {
  return { mode, uid, gid, size, atime: Math.floor(atimeMs / 1000), mtime: Math.floor(mtimeMs / 1000) };
}

/** The strings of a request, each behind its length. */
function strings(data: Buffer = Buffer.alloc(0)): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 4 <= data.length;) {
    const size = data.readUInt32BE(at);
    found.push(data.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  return found;
}

function statusOf(error: unknown): number {
  const { code } = error as { code?: unknown };
  if (code === 'ENOENT' || code === 'ENOTDIR') return STATUS_CODE.NO_SUCH_FILE;
  return code === 'EACCES' || code === 'EPERM' ? STATUS_CODE.PERMISSION_DENIED : STATUS_CODE.FAILURE;
}

function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
