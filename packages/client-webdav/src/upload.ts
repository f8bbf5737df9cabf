import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { Readable } from 'node:stream';

import { BodyReader, untilAborted } from '@litestream/core';
import type { Body } from '@litestream/core';

import type { WebdavConnection } from './connection.ts';
import { WebdavStatusError } from './errors.ts';
import { move } from './move.ts';
import { expectListed } from './proof.ts';
import type { WebdavFolders } from './folders.ts';
import { stage } from './stage.ts';
import type { SizedBody } from './stage.ts';

/** Answers to a PUT into a missing collection: 409 by the protocol, 500 from nginx. */
const FOLDER_GONE: ReadonlySet<number> = new Set([403, 404, 409, 500]);

/** Names of unfinished uploads, which no program mistakes for an LTX file. */
export const TEMPORARY: RegExp = /\.ltx\.\d+\.[0-9a-f]+\.tmp$/;

export interface Target {
  readonly path: string;
  /** Fail if the file exists. */
  readonly isNew: boolean;
  /** Folder for a body of unknown size. Undefined: the system's temporary folder. */
  readonly stagingPath: string | undefined;
}

/**
 * Stores a body under a temporary name and moves it into place, so that no reader sees a part of it. Without MOVE, stores it
 * in place.
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
    if (!connection.canMove) return await uploadInPlace(connection, folders, { path, isNew }, sized, signal);
    await putBelow(folders, path, () => put(connection, temporary, sized, {}, signal));
    signal?.throwIfAborted();
    if (await move(connection, temporary, path, isNew)) return sized.size;
  } catch (error) {
    if (connection.canMove) await remove(connection, temporary);
    throw error;
  }
  await remove(connection, temporary);
  return await uploadInPlace(connection, folders, { path, isNew }, sized, signal);
}

/** Runs `store` in an existing folder. */
async function putBelow(folders: WebdavFolders, path: string, store: () => Promise<void>): Promise<void> {
  await folders.ensure(posix.dirname(path));
  try {
    await store();
  } catch (error) {
    if (!(error instanceof WebdavStatusError) || !FOLDER_GONE.has(error.status)) throw error;
    // The folder may have been removed since its creation.
    folders.forget();
    await folders.ensure(posix.dirname(path));
    await store();
  }
}

/**
 * For servers without MOVE. They answer a PUT only when the file is complete, but a reader may see a part of it before. After a
 * failure, removes the file unless it existed before: it may still be the old one.
 */
async function uploadInPlace(
  connection: WebdavConnection,
  folders: WebdavFolders,
  { path, isNew }: Pick<Target, 'path' | 'isNew'>,
  body: SizedBody,
  signal?: AbortSignal,
): Promise<number> {
  const isThere = await connection.exists(path, signal);
  // Servers without MOVE may not support conditions either.
  if (isThere && isNew) throw new WebdavStatusError('PUT', 412);
  try {
    await putBelow(folders, path, () => put(connection, path, body, isNew ? { 'If-None-Match': '*' } : {}, signal));
    return body.size;
  } catch (error) {
    if (!isThere && !(error instanceof WebdavStatusError)) await remove(connection, path);
    throw error;
  }
}

async function remove(connection: WebdavConnection, path: string): Promise<void> {
  await connection.call('DELETE', path, {}, [404]).catch(() => undefined);
}

async function put(
  connection: WebdavConnection,
  path: string,
  body: SizedBody,
  conditions: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<void> {
  // A refused nonce would be noticed only after the body is spent; this request renews it.
  if (connection.digest) await (await connection.ping(signal)).text();
  const reader = new BodyReader({ size: body.size, open: () => untilAborted(body.open(), signal) }, signal);
  const source = Readable.from(reader.chunks(), { objectMode: false });
  source.on('error', () => undefined); // The request fails with this error, too.
  try {
    const headers = { 'Content-Length': String(body.size), 'Content-Type': 'application/octet-stream', ...conditions };
    const status = await connection.call('PUT', path, { headers, body: source, signal });
    if (status >= 300) throw new WebdavStatusError('PUT', status);
    if (status === 200) await expectListed(connection, path, signal);
  } catch (error) {
    throw reader.errorOr(error);
  } finally {
    source.destroy(); // After an early refusal, the rest stays unread.
  }
}

/** Many servers lose or refuse a body without Content-Length (nginx with FastCGI, lighttpd), so its size must be known. */
async function withSize(body: Body, stagingPath: string | undefined, signal?: AbortSignal): Promise<SizedBody> {
  if (body.size === undefined) return await stage(body, stagingPath, signal);
  return { size: body.size, open: () => body.open(), [Symbol.asyncDispose]: () => Promise.resolve() };
}
