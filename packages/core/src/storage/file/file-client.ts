/**
 * A replica in a folder on this machine: `<path>/ltx/<level>/<minTXID>-<maxTXID>.ltx`, the time of the last commit as
 * modification time. Durable before a write resolves; atomic by renaming; never opens a database.
 */
import { randomUUID } from 'node:crypto';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { LitestreamError } from '../../util/error.ts';
import { LEVELS } from '../contract/levels.ts';
import type {
  Body,
  Capabilities,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  ObjectOperations,
  Op,
  ReplicaClient,
  WriteOptions,
} from '../contract/contract.ts';
import { OPEN_EXISTING, OPEN_NEW } from '../../files/safe-files.ts';
import { createName } from './file-create.ts';
import { adoptFile, isErrno, makeFolder, ownershipOf, statIfThere, syncFolders } from './file-durability.ts';
import { FileObjects, modifiedAt, versionOf } from './file-objects.ts';
import { linkBody } from './file-link.ts';
import { readRange } from './file-read.ts';
import { removeStaleTemps, TEMP_MARK } from './file-temp.ts';
import { writeBody } from './file-write.ts';
import { ltxObjectName, parseLtxObjectName } from '../contract/object-names.ts';

export interface FileClientOptions {
  /** The replica's folder. The first write creates it. */
  readonly path: string;
  /**
   * Database whose mode and owner new files take, and whose folder's mode and owner new folders take. It is never
   * opened, only `stat` is called.
   */
  readonly databasePath?: string | undefined;
}

const STALE_TEMP_AGE_MS = 60 * 60 * 1000;
/** Number of files of a listing on which `stat` is called at a time. */
const STAT_BATCH = 64;

export class FileClient implements ReplicaClient {
  readonly type = 'file';
  readonly capabilities: Capabilities = {
    objects: true,
    conditions: true,
    conditionalCreate: true,
    timestamps: 'listing',
    timestampResolutionMs: 1,
    seekListing: true,
  };
  readonly objects: ObjectOperations;
  readonly #path: string;
  readonly #databasePath: string | undefined;
  #cleaned: Promise<void> | undefined;

  constructor(options: FileClientOptions) {
    this.#path = options.path;
    this.#databasePath = options.databasePath;
    this.objects = new FileObjects(options.path, async () => await ownershipOf(this.#databasePath));
  }

  /** Changes nothing: a reader may lack the permission, and a restore from a mistyped path must not create a folder. */
  async init(options: Op = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const there = await statIfThere(this.#path);
    if (there !== undefined && !there.isDirectory()) {
      throw new LitestreamError(`${this.#path} is not a folder`, {
        code: 'CONFIG_INVALID',
        hint: 'A file replica is a folder: give it its own path.',
      });
    }
  }

  /**
   * Before the first write, removes what killed writers left behind: a writer may delete files, a reader may not. Files
   * that cannot be removed do no harm, so they fail no write.
   */
  async #clean(): Promise<void> {
    const nowMs = Date.now();
    for (const level of LEVELS) await removeStaleTemps(this.#folder(level), STALE_TEMP_AGE_MS, nowMs);
  }

  async *ltxFiles(
    level: number,
    query: { seek?: bigint | undefined; useMetadata?: boolean | undefined } & Op = {},
  ): AsyncIterable<LtxFileInfo> {
    const { signal, seek = 0n } = query;
    signal?.throwIfAborted();
    const folder = this.#folder(level);
    // Names sort as their TXIDs do. There may be hundreds of thousands, so they are parsed a batch at a time.
    const names = (await namesIn(folder)).sort();
    for (let next = 0; next < names.length; next += STAT_BATCH) {
      signal?.throwIfAborted();
      const batch = names.slice(next, next + STAT_BATCH);
      const infos = await Promise.all(
        batch.map(async (name) => {
          const txids = name.includes('/') ? undefined : parseLtxObjectName(name);
          return txids === undefined || txids.minTxid < seek
            ? undefined
            : await info(join(folder, name), { level, ...txids });
        }),
      );
      for (const file of infos) {
        if (file === undefined) continue; // another name, or deleted meanwhile
        signal?.throwIfAborted();
        yield file;
      }
    }
  }

  async *allLtxFiles(options: Op = {}): AsyncIterable<LtxFileInfo> {
    options.signal?.throwIfAborted();
    for (const level of await this.#levels()) yield* this.ltxFiles(level, options);
  }

  async openLtxFile(
    file: LtxFileRef,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<LtxFileBody> {
    range.signal?.throwIfAborted();
    const handle = await open(this.localPath(file), OPEN_EXISTING.read);
    try {
      const stats = await handle.stat({ bigint: true });
      range.signal?.throwIfAborted();
      const body = readRange(handle, range);
      return Object.assign(body, { info: { size: Number(stats.size), version: versionOf(stats) } });
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async writeLtxFile(
    file: LtxFileRef & { timestamp: Date },
    body: Body,
    options: WriteOptions = {},
  ): Promise<LtxFileInfo> {
    const { signal, ifNoneMatch } = options;
    signal?.throwIfAborted();
    this.#cleaned ??= this.#clean();
    await this.#cleaned;
    const ownership = await ownershipOf(this.#databasePath);
    const folder = this.#folder(file.level);
    await makeFolder(folder, ownership);
    const path = this.localPath(file);
    const temp = `${path}${TEMP_MARK}${randomUUID()}`;
    try {
      const linked = await linkBody(body, temp, ownership);
      const handle = linked
        ? await open(temp, OPEN_EXISTING.readWrite)
        : await open(temp, OPEN_NEW, ownership.fileMode);
      try {
        if (!linked) await adoptFile(handle, ownership);
        const size = linked ? body.size : await writeBody(handle, body, options);
        if (body.size !== undefined && size !== body.size) {
          throw new LitestreamError(`body holds ${size} bytes, ${body.size} were announced`, {
            code: 'INVALID_ARGUMENT',
          });
        }
        // Before the rename: a file never appears under its name with another time.
        await handle.utimes(file.timestamp, file.timestamp);
        await handle.sync();
      } finally {
        await handle.close();
      }
      signal?.throwIfAborted();
      if (ifNoneMatch === '*') {
        if (!(await createName(temp, path))) throw taken(path);
      } else {
        await rename(temp, path);
        // If both names are links to the same file, the rename does nothing.
        if (linked) await rm(temp, { force: true });
      }
    } catch (error) {
      await rm(temp, { force: true });
      throw error;
    }
    await syncFolders(folder);
    const written = await info(path, file);
    if (written === undefined) {
      throw new LitestreamError(`${path} was deleted while it was written`, { code: 'OBJECT_CHANGED' });
    }
    return written;
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options: Op = {}): Promise<void> {
    for (const file of files) {
      options.signal?.throwIfAborted();
      await rm(this.localPath(file), { force: true });
    }
  }

  async deleteAll(options: Op = {}): Promise<void> {
    options.signal?.throwIfAborted();
    await rm(join(this.#path, 'ltx'), { recursive: true, force: true });
  }

  localPath(file: LtxFileRef): string {
    return join(this.#folder(file.level), ltxObjectName(file));
  }

  /** Levels that have a folder, ascending. */
  async #levels(): Promise<readonly number[]> {
    const names = new Set(await namesIn(join(this.#path, 'ltx')));
    return LEVELS.filter((level) => names.has(String(level)));
  }

  #folder(level: number): string {
    return join(this.#path, 'ltx', String(level));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // No resources are held between calls.
  }
}

function taken(path: string): LitestreamError {
  return new LitestreamError(`the file exists: ${path}`, { code: 'PRECONDITION_FAILED' });
}

/** Empty if there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

async function info(path: string, { level, minTxid, maxTxid }: LtxFileRef): Promise<LtxFileInfo | undefined> {
  try {
    const stats = await stat(path, { bigint: true });
    if (!stats.isFile()) return undefined;
    return {
      level,
      minTxid,
      maxTxid,
      size: Number(stats.size),
      timestamp: modifiedAt(stats),
      version: versionOf(stats),
    };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
