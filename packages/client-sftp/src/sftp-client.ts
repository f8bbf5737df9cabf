import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';

import {
  LitestreamError,
  ltxObjectName,
  parseLtxObjectName,
  raceAbort,
  settleAborted,
  untilAborted,
} from '@litestream/core';
import type {
  Body,
  Capabilities,
  ErrorClass,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  Op,
  ReplicaClient,
  WriteOptions,
} from '@litestream/core';

import { SftpConnection } from './connection.ts';
import { classifySftpError, sftpError } from './errors.ts';
import { isNotFound, makeFolder, readFolder, removeFile } from './folders.ts';
import type { SftpOptions } from './options.ts';
import type { SftpSession } from './session.ts';
import { download, upload } from './transfer.ts';

/** An aborted upload has this long to remove its temporary file. */
const CLEANUP_MS = 2_000;
const DELETES_IN_FLIGHT = 32;
const TEMPORARY = /\.ltx\.\d+\.[0-9a-f]+\.tmp$/;

/**
 * A replica on an SFTP server: `<path>/ltx/<level>/<min>-<max>.ltx`, with the commit time as the file's modification time, in
 * whole seconds. A file is written under a temporary name and renamed when it is complete.
 */
export class SftpReplicaClient implements ReplicaClient {
  readonly type = 'sftp';
  readonly capabilities: Capabilities = {
    timestamps: 'listing',
    timestampResolutionMs: 1000,
    // The protocol forbids a rename over an existing file; some servers do it nevertheless.
    conditionalCreate: 'probe',
  };

  readonly #root: string;
  readonly #concurrentWrites: boolean;
  readonly #connection: SftpConnection;
  #disposed: Promise<void> | undefined;

  constructor(options: SftpOptions) {
    this.#root = options.path === undefined || options.path === '' ? '.' : options.path;
    this.#concurrentWrites = options.concurrentWrites ?? true;
    this.#connection = SftpConnection.retain(options);
  }

  async init(options?: Op): Promise<void> {
    await this.#run('connect to the SFTP server', undefined, options?.signal, async () => undefined);
  }

  async *ltxFiles(level: number, query?: { seek?: bigint | undefined } & Op): AsyncIterable<LtxFileInfo> {
    const folder = this.#folder(level);
    const entries = await this.#run('list a level', folder, query?.signal, (session) => readFolder(session, folder));
    const seek = query?.seek ?? 0n;
    const files = entries.flatMap(({ name, size, modified }): LtxFileInfo[] => {
      const txids = parseLtxObjectName(name);
      return txids === undefined || txids.minTxid < seek ? [] : [{ level, ...txids, size, timestamp: modified }];
    });
    for (const file of files.sort(ascending)) {
      query?.signal?.throwIfAborted();
      yield file;
    }
  }

  async openLtxFile(
    file: LtxFileRef,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<LtxFileBody> {
    const { signal, offset = 0, size = Infinity } = range;
    const name = this.#file(file);
    const { session, handle, fileSize } = await this.#run('open a file', name, signal, async (session) => {
      const handle = await session.open(name, 'r');
      try {
        const fileSize = (await session.fstat(handle)).size;
        signal?.throwIfAborted(); // No caller is left to close the handle.
        return { session, handle, fileSize };
      } catch (error) {
        closeQuietly(session, handle);
        throw error;
      }
    });
    const end = Math.min(offset + size, fileSize);
    const bytes = readHandle(session, handle, download(session, handle, offset, end, signal), name, signal);
    return Object.assign(bytes, { info: { size: fileSize } });
  }

  async writeLtxFile(file: LtxFileRef & { timestamp: Date }, body: Body, options?: WriteOptions): Promise<LtxFileInfo> {
    const name = this.#file(file);
    const signal = options?.signal;
    const target = { name, time: file.timestamp, isNew: options?.ifNoneMatch === '*' };
    const work = (session: SftpSession): Promise<number> => this.#store(session, target, body, signal);
    const size = await this.#run('write a file', name, signal, work, CLEANUP_MS);
    const seconds = Math.floor(file.timestamp.getTime() / 1000);
    const { level, minTxid, maxTxid } = file;
    return { level, minTxid, maxTxid, size, timestamp: new Date(seconds * 1000) };
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options?: Op): Promise<void> {
    const names = files.map((file) => this.#file(file));
    await this.#run('delete files', names[0], options?.signal, (session) =>
      removeFiles(session, names, options?.signal),
    );
  }

  /** Removes the LTX files of every level, the remains of aborted uploads, and folders that are then empty. */
  async deleteAll(options?: Op): Promise<void> {
    const root = posix.join(this.#root, 'ltx');
    await this.#run('delete the replica', root, options?.signal, async (session) => {
      const levels = (await readFolder(session, root)).filter(({ name }) => /^\d+$/.test(name));
      for (const { name: level } of levels) {
        const folder = posix.join(root, level);
        const names = (await readFolder(session, folder)).map(({ name }) => name);
        const ours = names.filter((name) => parseLtxObjectName(name) !== undefined || TEMPORARY.test(name));
        const paths = ours.map((name) => posix.join(folder, name));
        await removeFiles(session, paths, options?.signal);
        if (ours.length === names.length) await removeFolder(session, folder);
      }
      if (levels.length > 0) await removeFolder(session, root);
    });
  }

  classify(error: unknown): ErrorClass | undefined {
    return classifySftpError(error);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#connection.release();
    return this.#disposed;
  }

  #folder(level: number): string {
    return posix.join(this.#root, 'ltx', String(level));
  }

  #file(file: LtxFileRef): string {
    return posix.join(this.#folder(file.level), ltxObjectName(file));
  }

  async #store(
    session: SftpSession,
    { name, time, isNew }: { readonly name: string; readonly time: Date; readonly isNew: boolean },
    body: Body,
    signal?: AbortSignal,
  ): Promise<number> {
    const temporary = `${name}.${process.pid}.${randomBytes(8).toString('hex')}.tmp`;
    let handle: Buffer | undefined = await openForWriting(session, temporary);
    try {
      const source = { size: body.size, open: () => untilAborted(body.open(), signal) };
      const size = await upload(session, handle, source, { concurrent: this.#concurrentWrites, signal });
      await session.setTime(handle, time);
      await session.sync(handle);
      const open = handle;
      handle = undefined;
      await session.closeHandle(open);
      signal?.throwIfAborted();
      if (!isNew) await session.replace(temporary, name);
      else if (!(await session.create(temporary, name))) throw taken(name);
      return size;
    } catch (error) {
      if (handle !== undefined) await session.closeHandle(handle).catch(() => undefined);
      await session.unlink(temporary).catch(() => undefined);
      throw error;
    }
  }

  /** Runs work on a live session. Rejects at once on an abort, or after `graceMs`, in which the work can clean up. */
  async #run<T>(
    doing: string,
    object: string | undefined,
    signal: AbortSignal | undefined,
    work: (session: SftpSession) => Promise<T>,
    graceMs = 0,
  ): Promise<T> {
    signal?.throwIfAborted();
    if (this.#disposed !== undefined) throw new Error('the client is disposed');
    try {
      const session = await raceAbort(this.#connection.session(), signal);
      return await settleAborted(work(session), signal, graceMs);
    } catch (error) {
      signal?.throwIfAborted();
      throw sftpError(error, doing, object);
    }
  }
}

async function* readHandle(
  session: SftpSession,
  handle: Buffer,
  packets: AsyncGenerator<Buffer>,
  name: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    yield* untilAborted(packets, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw sftpError(error, 'read a file', name);
  } finally {
    closeQuietly(session, handle);
  }
}

function taken(name: string): LitestreamError {
  return new LitestreamError(`the file exists: ${name}`, { code: 'PRECONDITION_FAILED', backend: 'sftp' });
}

async function openForWriting(session: SftpSession, path: string): Promise<Buffer> {
  try {
    return await session.open(path, 'w');
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await makeFolder(session, posix.dirname(path));
    return session.open(path, 'w');
  }
}

async function removeFiles(session: SftpSession, paths: readonly string[], signal?: AbortSignal): Promise<void> {
  for (let from = 0; from < paths.length; from += DELETES_IN_FLIGHT) {
    signal?.throwIfAborted();
    await Promise.all(paths.slice(from, from + DELETES_IN_FLIGHT).map((path) => removeFile(session, path)));
  }
}

/** Removes a folder, unless it is not empty: another process may write to it, or keep other files in it. */
async function removeFolder(session: SftpSession, path: string): Promise<void> {
  await session.rmdir(path).catch(() => undefined);
}

function closeQuietly(session: SftpSession, handle: Buffer): void {
  session.closeHandle(handle).catch(() => undefined);
}

function ascending(a: LtxFileInfo, b: LtxFileInfo): number {
  if (a.minTxid !== b.minTxid) return a.minTxid < b.minTxid ? -1 : 1;
  if (a.maxTxid === b.maxTxid) return 0;
  return a.maxTxid < b.maxTxid ? -1 : 1;
}
