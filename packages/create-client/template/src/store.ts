/** The service. This one is a folder, so that everything works before you begin: replace the bodies of its methods. */
import { randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { LitestreamError } from '@litestream/core/client';
import type {
  ListPage,
  ListQuery,
  ObjectHead,
  ObjectStore,
  PutContent,
  PutOptions,
  StoreRange,
  StoredBody,
  StoredObject,
} from '@litestream/core/client';

const TEMPORARY = '.uploading';

/** See `ObjectStore` for what each method promises. Throw the errors of your SDK as they are. */
export class Store implements ObjectStore {
  readonly #root: string;

  constructor(folder: string, path: string) {
    this.#root = join(folder, path);
  }

  /** The objects whose key begins with the prefix. If your service lists in pages, return its token as `next`. */
  async list({ prefix }: ListQuery): Promise<ListPage> {
    const names = (await orUndefined(readdir(join(this.#root, prefix), { recursive: true }))) ?? [];
    const keys = names.map((name) => prefix + name.replaceAll(sep, '/')).sort();
    const objects: StoredObject[] = [];
    for (const key of keys) {
      const stats = await orUndefined(stat(join(this.#root, key), { bigint: true }));
      // Undefined: deleted meanwhile. A listing may miss concurrent changes.
      if (stats?.isFile() === true) objects.push({ key, ...headOf(stats) });
    }
    return { objects };
  }

  /** Rejects if the object is missing. Core knows ENOENT, 404 and `NoSuchKey`; add others in the client's `classify`. */
  async get(key: string, { offset, size = Infinity }: StoreRange): Promise<StoredBody> {
    const file = await open(join(this.#root, key));
    const head = headOf(await file.stat({ bigint: true }));
    const end = Math.min(offset + size, head.size);
    if (end <= offset) {
      await file.close();
      return { ...head, body: emptyBody() };
    }
    return { ...head, body: file.createReadStream({ start: offset, end: end - 1 }), length: end - offset };
  }

  async head(key: string): Promise<ObjectHead> {
    return headOf(await stat(join(this.#root, key), { bigint: true }));
  }

  /**
   * All or nothing: no reader may see the object, or a part of it, before it is complete. With `ifNoneMatch`, it must never
   * replace another object. If your service cannot refuse that in one step, leave out `conditionalCreate`.
   */
  async put(key: string, content: PutContent, { time, ifNoneMatch, signal }: PutOptions): Promise<ObjectHead> {
    const path = join(this.#root, key);
    const temporary = join(this.#root, `${randomUUID()}${TEMPORARY}`);
    await mkdir(dirname(path), { recursive: true });
    try {
      const file = await open(temporary, 'wx');
      try {
        for await (const chunk of content.chunks()) await file.writeFile(chunk);
        // Keep the text in the metadata if your service has some, and return it as `time`.
        if (time !== undefined) await file.utimes(new Date(time), new Date(time));
        await file.sync();
      } finally {
        await file.close();
      }
      signal?.throwIfAborted();
      if (ifNoneMatch === '*') await create(temporary, path);
      else await rename(temporary, path);
      return headOf(await stat(path, { bigint: true }));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** A missing object is not an error. */
  async delete(key: string): Promise<void> {
    await rm(join(this.#root, key), { force: true });
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

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Size, time, and a text that changes with the content: an ETag or a generation. */
function headOf(stats: BigIntStats): { readonly size: number; readonly lastModified: Date; readonly version: string } {
  const { size, mtimeMs, mtimeNs, ctimeNs, ino } = stats;
  // Node sets times from a floating-point number of seconds, so a nanosecond below a millisecond means that millisecond.
  const timeMs = Number(mtimeMs) + Math.round(Number(mtimeNs % 1_000_000n) / 1e6);
  return { size: Number(size), lastModified: new Date(timeMs), version: `${ino}-${ctimeNs}` };
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}
