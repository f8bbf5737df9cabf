/** The output of a restore: written beside its final path, and moved there only when it is complete. */
import { lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LitestreamError } from '../../util/error.ts';
import { OPEN_FOLDER, openReplacing } from '../../files/safe-files.ts';
import { fault } from '../read/ltx-errors.ts';
import { lstatOrNothing, requireReplaceable } from './replaceable.ts';
import { replaceDatabase } from './replaced-database.ts';
import { SIDECAR_SUFFIXES } from './sidecars.ts';

/**
 * Refuses a path at which a restore would destroy something: `OUTPUT_EXISTS` for a non-empty file, for anything but a
 * regular file, and for a database's side files, which SQLite would apply to the restored database.
 */
export async function checkOutput(path: string): Promise<void> {
  await requireReplaceable(path);
  const existing = await lstatOrNothing(path);
  if (existing !== undefined && existing.size > 0) {
    throw exists(
      `cannot restore, output path already exists and is not empty: ${path}`,
      path,
      'Use -force to overwrite (`overwrite: true` in code), choose another output, or move the file away.',
    );
  }
  for (const suffix of SIDECAR_SUFFIXES) {
    if ((await lstatOrNothing(path + suffix)) !== undefined) {
      throw exists(
        `cannot restore, SQLite sidecar path already exists: ${path}${suffix}`,
        path + suffix,
        'SQLite would apply it to the restored database. Move it away, or overwrite it with -force (`overwrite: true` in code).',
      );
    }
  }
}

function exists(message: string, object: string, hint: string): LitestreamError {
  return new LitestreamError(message, { code: 'OUTPUT_EXISTS', operation: 'restore', object, hint });
}

/** Identifies a file independently of its name. */
interface Identity {
  readonly ino: number;
  readonly dev: number;
}

export class Output {
  readonly path: string;
  readonly temporaryPath: string;
  readonly #handle: FileHandle;
  readonly #identity: Identity;
  readonly #overwrite: boolean;
  #state: 'open' | 'done' = 'open';
  #flushing: Promise<void> | undefined;
  #flushFailure: { readonly error: unknown } | undefined;

  private constructor(path: string, handle: FileHandle, identity: Identity, overwrite: boolean) {
    this.path = path;
    this.temporaryPath = temporaryPathOf(path);
    this.#handle = handle;
    this.#identity = identity;
    this.#overwrite = overwrite;
  }

  /**
   * Creates missing folders and an empty temporary file; replaces one that a killed restore left. Only this user may read it
   * (0600), unless a file exists at the path: then it gets the mode of that file.
   */
  static async create(path: string, overwrite: boolean): Promise<Output> {
    if (overwrite) await requireReplaceable(path);
    else await checkOutput(path);
    const temporaryPath = temporaryPathOf(path);
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const handle = await openReplacing(temporaryPath);
      try {
        await keepMode(handle, path);
        return new Output(path, handle, await handle.stat(), overwrite);
      } catch (error) {
        await handle.close();
        await rm(temporaryPath, { force: true });
        throw error;
      }
    } catch (error) {
      // Only a file that was created after the removal above can be in the way.
      if ((error as NodeJS.ErrnoException).code === 'EEXIST' && (await isFile(temporaryPath))) throw underWay(path);
      throw fault(temporaryPath, error);
    }
  }

  /** Descriptor for workers to write to, while this object is open. */
  get descriptor(): number {
    return this.#handle.fd;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        done += (await this.#handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
      }
    } catch (error) {
      throw fault(this.temporaryPath, error);
    }
  }

  async truncate(size: number): Promise<void> {
    try {
      await this.#handle.truncate(size);
    } catch (error) {
      throw fault(this.temporaryPath, error);
    }
  }

  /** Starts to write back the data so far, so that `sync` takes less time. `sync` reports its failure. */
  flush(): void {
    this.#flushing ??= this.#handle
      .datasync()
      .catch((error: unknown) => {
        this.#flushFailure ??= { error };
      })
      .finally(() => {
        this.#flushing = undefined;
      });
  }

  async sync(): Promise<void> {
    try {
      await this.#flushing;
      // The kernel reports a failed write-back only once, to the first sync.
      if (this.#flushFailure !== undefined) throw this.#flushFailure.error;
      await this.#handle.sync();
    } catch (error) {
      throw fault(this.temporaryPath, error);
    }
  }

  /**
   * Moves the file to its path, durably. An existing database stays intact until then; see `replaceDatabase`. Calls
   * `beforeMove` just before the rename.
   */
  async publish(beforeMove: () => Promise<void>): Promise<void> {
    try {
      if (!(await this.#isOurs())) throw underWay(this.path);
      const move = async (): Promise<void> => {
        await beforeMove();
        await rename(this.temporaryPath, this.path);
      };
      if (this.#overwrite) {
        await requireReplaceable(this.path);
        await replaceDatabase(this.path, move);
      } else {
        await checkOutput(this.path);
        await move();
      }
      this.#state = 'done';
      await this.#handle.close();
      await using folder = await open(dirname(this.path), OPEN_FOLDER);
      await folder.sync();
    } catch (error) {
      throw fault(this.path, error);
    }
  }

  /** Another restore to the same output replaces the temporary file: then this one must not touch it. */
  async #isOurs(): Promise<boolean> {
    const there = await lstat(this.temporaryPath).catch(() => undefined);
    return there?.ino === this.#identity.ino && there.dev === this.#identity.dev;
  }

  /** Removes the temporary file unless it was moved to its path. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'done') return;
    this.#state = 'done';
    await this.#flushing;
    const isOurs = await this.#isOurs();
    await this.#handle.close();
    if (isOurs) await rm(this.temporaryPath, { force: true });
  }
}

/** Mode of the file that is replaced. A user may create an empty one to set who may read the database. */
async function keepMode(handle: FileHandle, path: string): Promise<void> {
  const old = await lstatOrNothing(path);
  if (old === undefined) return;
  if (process.geteuid?.() === 0) await handle.chown(old.uid, old.gid);
  await handle.chmod(old.mode & 0o777);
}

function underWay(path: string): LitestreamError {
  return exists(`another restore to ${path} is running`, path, 'Wait until it ends, or choose another output.');
}

async function isFile(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isFile() === true;
}

/** The name that Litestream (Go) uses. */
function temporaryPathOf(path: string): string {
  return `${path}.tmp`;
}
