import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { Readable } from 'node:stream';

import { BodyReader, untilAborted } from '@litestream/core';
import type { Body } from '@litestream/core';

import type { WebdavConnection } from './connection.ts';
import { WebdavStatusError } from './errors.ts';
import type { WebdavFolders } from './folders.ts';
import { stage } from './stage.ts';
import type { SizedBody } from './stage.ts';

/** What servers say of a file below a collection that is not there: 409 by the protocol, 500 by nginx. */
const FOLDER_GONE: ReadonlySet<number> = new Set([403, 404, 409, 500]);

/** Names of unfinished uploads: no program takes them for an LTX file. */
export const TEMPORARY: RegExp = /\.ltx\.\d+\.[0-9a-f]+\.tmp$/;

export interface Target {
  readonly path: string;
  /** Fails where there is one of that name. */
  readonly isNew: boolean;
  /** Folder for a body of unknown size. Undefined: the system's temporary folder. */
  readonly stagingPath: string | undefined;
}

/**
 * Stores a body under a temporary name and moves it in place, so that nobody ever sees a part of it.
 *
 * @returns bytes stored
 */
export async function upload(
  connection: WebdavConnection,
  folders: WebdavFolders,
  { path, isNew, stagingPath }: Target,
  body: Body,
  signal?: AbortSignal,
): Promise<number> {
  await using sized = await withSize(body, stagingPath, signal);
  const temporary = `${path}.${process.pid}.${randomBytes(8).toString('hex')}.tmp`;
  try {
    await folders.ensure(posix.dirname(path));
    try {
      await put(connection, temporary, sized, signal);
    } catch (error) {
      if (!(error instanceof WebdavStatusError) || !FOLDER_GONE.has(error.status)) throw error;
      // The folder may have been removed since it was made.
      folders.forget();
      await folders.ensure(posix.dirname(path));
      await put(connection, temporary, sized, signal);
    }
    signal?.throwIfAborted();
    const status = await connection.call('MOVE', temporary, {
      headers: { Destination: connection.urlOf(path), Overwrite: isNew ? 'F' : 'T' },
    });
    if (status !== 201 && status !== 204) throw new WebdavStatusError('MOVE', status);
    return sized.size;
  } catch (error) {
    await connection.call('DELETE', temporary, {}, [404]).catch(() => undefined);
    throw error;
  }
}

async function put(connection: WebdavConnection, path: string, body: SizedBody, signal?: AbortSignal): Promise<void> {
  // A refused one-time number would come back after the body is spent; this request renews it.
  if (connection.digest) await connection.call('PROPFIND', '/', { headers: { Depth: '0' }, signal }, [404]);
  const reader = new BodyReader({ size: body.size, open: () => untilAborted(body.open(), signal) }, signal);
  const source = Readable.from(reader.chunks(), { objectMode: false });
  source.on('error', () => undefined); // The request fails with it; there it is met.
  try {
    const headers = { 'Content-Length': String(body.size), 'Content-Type': 'application/octet-stream' };
    const status = await connection.call('PUT', path, { headers, body: source, signal });
    if (status >= 300) throw new WebdavStatusError('PUT', status);
  } catch (error) {
    throw reader.errorOr(error);
  } finally {
    source.destroy(); // An early refusal leaves the rest unread.
  }
}

/** Many servers lose or refuse a body without Content-Length (nginx with FastCGI, lighttpd): its size has to be known. */
async function withSize(body: Body, stagingPath: string | undefined, signal?: AbortSignal): Promise<SizedBody> {
  if (body.size === undefined) return await stage(body, stagingPath, signal);
  return { size: body.size, open: () => body.open(), [Symbol.asyncDispose]: () => Promise.resolve() };
}
