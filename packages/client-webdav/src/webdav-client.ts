import { posix } from 'node:path';

import { ltxObjectName, malformedAnswer, parseLtxObjectName, raceAbort, settleAborted } from '@litestream/core';
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

import { WebdavConnection } from './connection.ts';
import { download } from './download.ts';
import { classifyWebdavError, webdavError } from './errors.ts';
import { WebdavFolders } from './folders.ts';
import type { DavEntry } from './multistatus.ts';
import type { WebdavOptions } from './options.ts';
import { expectGone } from './proof.ts';
import { TEMPORARY, upload } from './upload.ts';

/** An aborted upload has this long to remove its temporary file. */
const CLEANUP_MS = 2_000;
const DELETES_IN_FLIGHT = 8;

/**
 * A replica on a WebDAV server: `<path>/ltx/<level>/<min>-<max>.ltx`. The protocol has no time other than the server's. A file
 * is sent under a temporary name and moved into place when it is complete.
 */
export class WebdavReplicaClient implements ReplicaClient {
  readonly type = 'webdav';
  readonly capabilities: Capabilities = {
    timestamps: 'none',
    // Servers check for a file, and then rename in a second step. Some rename over a file although they must not.
    conditionalCreate: 'unlocked',
    // A MOVE over a file first deletes it (RFC 4918, section 9.9.3), as Apache does.
    atomicReplace: false,
  };

  readonly #options: WebdavOptions;
  readonly #root: string;
  #opened: Promise<{ connection: WebdavConnection; folders: WebdavFolders }> | undefined;

  constructor(options: WebdavOptions) {
    this.#options = options;
    this.#root = posix.join('/', options.path ?? '', 'ltx');
  }

  async init(options?: Op): Promise<void> {
    await this.#run('connect to the WebDAV server', undefined, options?.signal, async () => undefined);
  }

  async *ltxFiles(level: number, query?: { seek?: bigint | undefined } & Op): AsyncIterable<LtxFileInfo> {
    const folder = this.#folder(level);
    const signal = query?.signal;
    const entries = await this.#run('list a level', folder, signal, ({ connection }) =>
      connection.list(folder, signal),
    );
    const seek = query?.seek ?? 0n;
    const files = (entries ?? []).flatMap(({ basename, size, lastmod, type, etag }): LtxFileInfo[] => {
      const txids = type === 'file' ? parseLtxObjectName(basename) : undefined;
      if (txids === undefined || txids.minTxid < seek) return [];
      if (size === undefined) throw malformedAnswer('webdav', 'the listing holds a file without a size');
      return [{ level, ...txids, size, timestamp: dateOf(lastmod), version: versionOf(etag) }];
    });
    for (const file of files.sort(ascending)) {
      signal?.throwIfAborted();
      yield file;
    }
  }

  async openLtxFile(
    file: LtxFileRef,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<LtxFileBody> {
    const path = this.#file(file);
    return this.#run('read a file', path, range.signal, ({ connection }) => download(connection, path, range));
  }

  async writeLtxFile(file: LtxFileRef & { timestamp: Date }, body: Body, options?: WriteOptions): Promise<LtxFileInfo> {
    const path = this.#file(file);
    const { stagingPath } = this.#options;
    const signal = options?.signal;
    const size = await this.#run(
      'write a file',
      path,
      signal,
      ({ connection, folders }) =>
        upload(connection, folders, { path, isNew: options?.ifNoneMatch === '*', stagingPath }, body, signal),
      CLEANUP_MS,
    );
    const { level, minTxid, maxTxid, timestamp } = file;
    return { level, minTxid, maxTxid, size, timestamp };
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options?: Op): Promise<void> {
    const paths = files.map((file) => this.#file(file));
    await this.#run('delete files', paths[0], options?.signal, ({ connection }) =>
      removeAll(connection, paths, options?.signal),
    );
  }

  /** Removes a folder that holds only files of the replica as a whole; from other folders, removes only those files. */
  async deleteAll(options?: Op): Promise<void> {
    const signal = options?.signal;
    await this.#run('delete the replica', this.#root, signal, async ({ connection, folders }) => {
      folders.forget();
      const levels = await children(connection, this.#root, signal);
      let whole = true;
      for (const { basename, type } of levels) {
        const ours = type === 'directory' && /^\d+$/.test(basename);
        whole = ours && (await clear(connection, posix.join(this.#root, basename), signal)) && whole;
      }
      if (whole) await remove(connection, `${this.#root}/`, signal);
    });
  }

  classify(error: unknown): ErrorClass | undefined {
    return classifyWebdavError(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    const found = await opened?.catch(() => undefined);
    found?.connection.close();
  }

  #folder(level: number): string {
    return posix.join(this.#root, String(level));
  }

  #file(file: LtxFileRef): string {
    return posix.join(this.#folder(file.level), ltxObjectName(file));
  }

  async #run<T>(
    doing: string,
    object: string | undefined,
    signal: AbortSignal | undefined,
    work: (opened: { connection: WebdavConnection; folders: WebdavFolders }) => Promise<T>,
    graceMs = 0,
  ): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await settleAborted(work(await raceAbort(this.#open(), signal)), signal, graceMs);
    } catch (error) {
      signal?.throwIfAborted();
      throw webdavError(error, doing, object);
    }
  }

  /** Connected on first use. After a failure, the next use tries again. */
  #open(): Promise<{ connection: WebdavConnection; folders: WebdavFolders }> {
    this.#opened ??= WebdavConnection.open(this.#options).then(
      (connection) => ({ connection, folders: new WebdavFolders(connection) }),
      (error: unknown) => {
        this.#opened = undefined;
        throw error;
      },
    );
    return this.#opened;
  }
}

/** A server that keeps no time of a file leaves it out. */
function dateOf(text: string | undefined): Date {
  const date = new Date(text ?? 0);
  return Number.isNaN(date.getTime()) ? new Date(0) : date;
}

/** Apache marks the tag of a file as weak while the file is younger than a second; it is the same tag. */
function versionOf(etag: string | undefined): string | undefined {
  return etag?.replace(/^W\//, '').replaceAll('"', '');
}

/** The entries of a folder, without the folder itself, which the listing includes. */
async function children(connection: WebdavConnection, folder: string, signal?: AbortSignal): Promise<DavEntry[]> {
  const entries = (await connection.list(folder, signal)) ?? [];
  return entries.filter(({ filename }) => !filename.replace(/\/$/, '').endsWith(folder));
}

/** @returns whether the folder was removed */
async function clear(connection: WebdavConnection, folder: string, signal?: AbortSignal): Promise<boolean> {
  const entries = await children(connection, folder, signal);
  const ours = entries.filter(
    ({ basename, type }) => type === 'file' && (parseLtxObjectName(basename) !== undefined || TEMPORARY.test(basename)),
  );
  if (ours.length === entries.length) {
    await remove(connection, `${folder}/`, signal);
    return true;
  }
  const paths = ours.map(({ basename }) => posix.join(folder, basename));
  await removeAll(connection, paths, signal);
  return false;
}

async function removeAll(connection: WebdavConnection, paths: readonly string[], signal?: AbortSignal): Promise<void> {
  for (let from = 0; from < paths.length; from += DELETES_IN_FLIGHT) {
    signal?.throwIfAborted();
    await Promise.all(paths.slice(from, from + DELETES_IN_FLIGHT).map((path) => remove(connection, path, signal)));
  }
}

async function remove(connection: WebdavConnection, path: string, signal?: AbortSignal): Promise<void> {
  const status = await connection.call('DELETE', path, { signal }, [404]);
  // 207 means that parts of a folder could not be removed (RFC 4918, section 9.6.1).
  if (status === 207) throw Object.assign(new Error('some files could not be deleted'), { status });
  if (status === 200) await expectGone(connection, path, signal);
}

function ascending(a: LtxFileInfo, b: LtxFileInfo): number {
  if (a.minTxid !== b.minTxid) return a.minTxid < b.minTxid ? -1 : 1;
  if (a.maxTxid === b.maxTxid) return 0;
  return a.maxTxid < b.maxTxid ? -1 : 1;
}
