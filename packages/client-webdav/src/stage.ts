/** Writes a body of unknown size to a local file before its upload. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { LitestreamError, untilAborted } from '@litestream/core';
import type { Body } from '@litestream/core';

export interface SizedBody extends AsyncDisposable {
  readonly size: number;
  open(): AsyncIterable<Uint8Array>;
}

/** Unlinks the file before it writes to it, so that a killed process leaves no file. */
export async function stage(body: Body, stagingPath: string | undefined, signal?: AbortSignal): Promise<SizedBody> {
  const folder = stagingPath ?? tmpdir();
  if (stagingPath !== undefined) await mkdir(folder, { recursive: true });
  const path = join(folder, `litestream-webdav-${randomBytes(8).toString('hex')}.tmp`);
  const handle = await open(path, 'wx+', 0o600);
  try {
    await rm(path);
    const size = await copy(untilAborted(body.open(), signal), handle, folder);
    return {
      size,
      open: () => handle.createReadStream({ start: 0, autoClose: false }),
      [Symbol.asyncDispose]: async () => await handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** @returns bytes */
async function copy(chunks: AsyncIterable<Uint8Array>, to: FileHandle, folder: string): Promise<number> {
  let size = 0;
  for await (const chunk of chunks) {
    try {
      await to.writeFile(chunk);
    } catch (error) {
      throw fullError(error, folder);
    }
    size += chunk.length;
  }
  return size;
}

/** The local disk is full, not that of the server. */
function fullError(cause: unknown, folder: string): unknown {
  const { code } = cause as { code?: unknown };
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return cause;
  return new LitestreamError(`no space left to stage an upload: ${folder}`, {
    code: 'DISK_FULL',
    retryable: true,
    backend: 'webdav',
    object: folder,
    hint: 'Free some space, or set staging-path to a folder on a disk with free space.',
    cause,
  });
}
