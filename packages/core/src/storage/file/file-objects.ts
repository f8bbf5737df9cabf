/** Objects by key in a folder, with conditions: leases and old (v0.3) replicas of the file client. */
import { createHash, randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { LitestreamError } from '../../util/error.ts';
import type { ObjectInfo, ObjectOperations, Op } from '../contract/contract.ts';
import { compareKeys } from '../contract/object-names.ts';
import { OPEN_EXISTING, OPEN_NEW } from '../../files/safe-files.ts';
import { createName } from './file-create.ts';
import { adoptFile, isErrno, makeFolder, syncFolder, syncFolders } from './file-durability.ts';
import type { Ownership } from './file-durability.ts';
import { readRange } from './file-read.ts';
import { isTempName, TEMP_MARK } from './file-temp.ts';
import { withFileLock } from './file-lock.ts';
import { checkKey } from '../contract/check-arguments.ts';

export class FileObjects implements ObjectOperations {
  readonly #root: string;
  readonly #ownership: () => Promise<Ownership>;

  constructor(root: string, ownership: () => Promise<Ownership>) {
    this.#root = root;
    this.#ownership = ownership;
  }

  async *list(prefix: string, options: Op = {}): AsyncIterable<ObjectInfo> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    const keys: string[] = [];
    await this.#collect(folder, prefix, keys, options.signal);
    keys.sort(compareKeys);
    for (const key of keys) {
      options.signal?.throwIfAborted();
      const info = await this.#info(key);
      if (info !== undefined) yield info;
    }
  }

  async #collect(folder: string, prefix: string, keys: string[], signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    let entries;
    try {
      entries = await readdir(join(this.#root, folder), { withFileTypes: true });
    } catch (error) {
      if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return;
      throw error;
    }
    for (const entry of entries) {
      const key = folder + entry.name;
      if (entry.isDirectory()) {
        if (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`))
          await this.#collect(`${key}/`, prefix, keys, signal);
      } else if (entry.isFile() && key.startsWith(prefix) && !isTempName(entry.name)) keys.push(key);
    }
  }

  async open(
    key: string,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<{ info: ObjectInfo; body: AsyncIterable<Uint8Array> }> {
    checkKey(key);
    range.signal?.throwIfAborted();
    const file = await open(join(this.#root, key), OPEN_EXISTING.read);
    try {
      const info = objectInfo(key, await file.stat({ bigint: true }));
      return { info, body: readRange(file, range) };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async put(
    key: string,
    body: Uint8Array,
    conditions: { ifMatch?: string | undefined; ifNoneMatch?: '*' | undefined } & Op = {},
  ): Promise<ObjectInfo> {
    checkKey(key);
    conditions.signal?.throwIfAborted();
    const path = join(this.#root, key);
    const ownership = await this.#ownership();
    await makeFolder(dirname(path), ownership);
    const temp = `${path}${TEMP_MARK}${randomUUID()}`;
    let written: ObjectInfo;
    try {
      const file = await open(temp, OPEN_NEW, ownership.fileMode);
      try {
        await adoptFile(file, ownership);
        await file.writeFile(body);
        await file.sync();
        // Later, the file of this name may be that of another process.
        written = objectInfo(key, await file.stat({ bigint: true }));
      } finally {
        await file.close();
      }
      conditions.signal?.throwIfAborted();
      await this.#publish(temp, path, key, conditions);
      await syncFolders(dirname(path));
    } catch (error) {
      await rm(temp, { force: true });
      throw error;
    }
    return written;
  }

  async #publish(
    temp: string,
    path: string,
    key: string,
    conditions: { ifMatch?: string | undefined; ifNoneMatch?: '*' | undefined },
  ): Promise<void> {
    if (conditions.ifNoneMatch === '*') {
      if (!(await createName(temp, path))) throw conditionFailed(key);
      return;
    }
    // Every replacement takes the lock, so none can come between the comparison and the rename of another.
    await withFileLock(path, async (check) => {
      if (conditions.ifMatch !== undefined) await this.#compare(key, conditions.ifMatch);
      await check();
      await rename(temp, path);
    });
  }

  async delete(key: string, conditions: { ifMatch?: string | undefined } & Op = {}): Promise<void> {
    checkKey(key);
    conditions.signal?.throwIfAborted();
    const path = join(this.#root, key);
    if (conditions.ifMatch === undefined) {
      await rm(path, { force: true });
      return;
    }
    if ((await this.#info(key)) === undefined) throw notFound(key);
    const { ifMatch } = conditions;
    await withFileLock(path, async (check) => {
      await this.#compare(key, ifMatch);
      await check();
      await rm(path, { force: true });
    });
    await syncFolder(dirname(path));
  }

  async #compare(key: string, version: string): Promise<void> {
    const info = await this.#info(key);
    if (info === undefined) throw notFound(key);
    if (info.version !== version) throw conditionFailed(key);
  }

  async #info(key: string): Promise<ObjectInfo | undefined> {
    try {
      const stats = await stat(join(this.#root, key), { bigint: true });
      return stats.isFile() ? objectInfo(key, stats) : undefined;
    } catch (error) {
      if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
      throw error;
    }
  }
}

/** Rounded: utimes takes seconds as a double, which may fall a few nanoseconds short of the millisecond. */
export function modifiedAt(stats: BigIntStats): Date {
  return new Date(Math.round(Number(stats.mtimeNs) / 1e6));
}

/** Each version of an object is a new file, so inode, times and size identify it. */
export function versionOf(stats: BigIntStats): string {
  return createHash('sha256')
    .update(`${stats.dev}:${stats.ino}:${stats.birthtimeNs}:${stats.mtimeNs}:${stats.size}`)
    .digest('hex')
    .slice(0, 32);
}

function objectInfo(key: string, stats: BigIntStats): ObjectInfo {
  return { key, size: Number(stats.size), lastModified: modifiedAt(stats), version: versionOf(stats) };
}

function conditionFailed(key: string): LitestreamError {
  return new LitestreamError(`the object changed: ${key}`, { code: 'PRECONDITION_FAILED' });
}

function notFound(key: string): LitestreamError {
  return new LitestreamError(`no such object: ${key}`, { code: 'NOT_FOUND' });
}
