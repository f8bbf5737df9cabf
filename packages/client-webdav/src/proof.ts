/**
 * Some servers answer 200 where the protocol has 201 or 204, and so does every login page. These ask for what was done; a login
 * page speaks no WebDAV.
 */
import { malformedAnswer } from '@litestream/core';

import type { WebdavConnection } from './connection.ts';

export async function expectListed(connection: WebdavConnection, path: string, signal?: AbortSignal): Promise<void> {
  if ((await statusOf(connection, path, signal)) !== 207) throw malformedAnswer('webdav', 'nothing is stored');
}

export async function expectGone(connection: WebdavConnection, path: string, signal?: AbortSignal): Promise<void> {
  if ((await statusOf(connection, path, signal)) !== 404) throw malformedAnswer('webdav', 'nothing is deleted');
}

async function statusOf(connection: WebdavConnection, path: string, signal?: AbortSignal): Promise<number> {
  return await connection.call('PROPFIND', path, { headers: { Depth: '0' }, signal }, [404]);
}
