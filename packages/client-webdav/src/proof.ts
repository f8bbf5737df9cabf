/**
 * Some servers answer 200 in place of 201 or 204, and so does every login page. These functions check the result with a second
 * request, which a login page cannot answer.
 */
import { malformedAnswer } from '@litestream/core';

import type { WebdavConnection } from './connection.ts';

export async function expectListed(connection: WebdavConnection, path: string, signal?: AbortSignal): Promise<void> {
  if ((await statusOf(connection, path, signal)) !== 207) throw malformedAnswer('webdav', 'no file was stored');
}

export async function expectGone(connection: WebdavConnection, path: string, signal?: AbortSignal): Promise<void> {
  if ((await statusOf(connection, path, signal)) !== 404) throw malformedAnswer('webdav', 'the file was not deleted');
}

async function statusOf(connection: WebdavConnection, path: string, signal?: AbortSignal): Promise<number> {
  return await connection.call('PROPFIND', path, { headers: { Depth: '0' }, signal }, [404]);
}
