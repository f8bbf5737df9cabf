/** The service. This one is a folder, so that everything works before you begin: replace the bodies of its methods. */
import { randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BodyReader, LitestreamError, readStream } from '@litestream/core';
import type { Body } from '@litestream/core';

/** An object in a listing. */
export interface Entry {
  /** The last part of its key. */
  readonly name: string;
  readonly size: number;
  /** The time passed to `write`, if your service keeps it (declare that in `capabilities.timestamps`), else its own. */
  readonly time: Date;
  /** ETag or generation: a text that changes with the content. */
  readonly version: string;
}

export interface Range {
  readonly offset?: number | undefined;
  readonly size?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Name, time and condition of an object to write. */
export interface Target {
  readonly key: string;
  readonly time: Date;
  /** Write only if the object does not exist. */
  readonly isNew: boolean;
}

const TEMPORARY = '.uploading';

export class Store {
  readonly #root: string;

  constructor(folder: string, path: string) {
    this.#root = join(folder, path);
  }

  /** The direct entries of a folder, by name. If your service lists in pages, fetch a page only when the reader needs it. */
  async *list(folder: string, signal?: AbortSignal): AsyncGenerator<Entry> {
    signal?.throwIfAborted();
    for (const name of await namesIn(join(this.#root, folder))) {
      const entry = await this.#find(`${folder}/${name}`);
      // Undefined: deleted meanwhile. A listing may miss concurrent changes.
      if (entry !== undefined) yield entry;
    }
  }

  /** Rejects if the object is missing. Core knows ENOENT, 404 and `NoSuchKey`; add others in the client's `classify`. */
  async open(
    key: string,
    { offset = 0, size = Infinity, signal }: Range,
  ): Promise<{ entry: Entry; body: AsyncIterable<Uint8Array> }> {
    const file = await open(join(this.#root, key));
    const entry = entryOf(key, await file.stat({ bigint: true }));
    const end = Math.min(offset + size, entry.size);
    if (end <= offset) {
      await file.close();
      return { entry, body: emptyBody() };
    }
    const stream = file.createReadStream({ start: offset, end: end - 1 });
    return { entry, body: readStream(stream, { signal, size: end - offset, wrapError: (error) => error }) };
  }

  /**
   * All or nothing: no reader may see the object, or a part of it, before it is complete. With `isNew`, it must never replace
   * another object. If your service cannot refuse that in one step, leave out `conditionalCreate`.
   */
  async write({ key, time, isNew }: Target, body: Body, signal?: AbortSignal): Promise<Entry> {
    const path = join(this.#root, key);
    const temporary = join(this.#root, `${randomUUID()}${TEMPORARY}`);
    await mkdir(dirname(path), { recursive: true });
    try {
      const file = await open(temporary, 'wx');
      try {
        // `BodyReader` returns chunks that may be kept, and verifies the announced size of the body.
        for await (const chunk of new BodyReader(body, signal).chunks()) await file.writeFile(chunk);
        await file.utimes(time, time);
        await file.sync();
      } finally {
        await file.close();
      }
      signal?.throwIfAborted();
      if (isNew) await create(temporary, path);
      else await rename(temporary, path);
      return entryOf(key, await stat(path, { bigint: true }));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** A missing object is not an error. */
  async delete(key: string): Promise<void> {
    await rm(join(this.#root, key), { force: true });
  }

  /** Closes connections. May be called twice, and before any other method. */
  async close(): Promise<void> {}

  async #find(key: string): Promise<Entry | undefined> {
    const stats = await orUndefined(stat(join(this.#root, key), { bigint: true }));
    return stats === undefined ? undefined : entryOf(key, stats);
  }
}

/** Creates a link, which fails if the name is taken; a rename would replace the existing file. */
async function create(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new LitestreamError(`the object exists: ${basename(path)}`, { code: 'PRECONDITION_FAILED' });
  }
  await rm(temporary, { force: true });
}

async function namesIn(folder: string): Promise<string[]> {
  return (await orUndefined(readdir(folder)))?.sort() ?? [];
}

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function entryOf(key: string, { size, mtimeMs, mtimeNs, ctimeNs, ino }: BigIntStats): Entry {
  // Node sets times from a floating-point number of seconds, so a nanosecond below a millisecond means that millisecond.
  const timeMs = Number(mtimeMs) + Math.round(Number(mtimeNs % 1_000_000n) / 1e6);
  return { name: basename(key), size: Number(size), time: new Date(timeMs), version: `${ino}-${ctimeNs}` };
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}
