import { malformedAnswer } from '@litestream/core';

import type { WebdavConnection } from './connection.ts';
import { WebdavStatusError } from './errors.ts';

/** How servers refuse the address of another server. Behind a proxy that ends TLS, or renames the host, ours is one to them. */
const ELSEWHERE: ReadonlySet<number> = new Set([400, 403, 502]);

/**
 * Moves a file. The destination is sent as an address, as servers before RFC 4918 want it; as a path where that is refused.
 *
 * @returns false: the server cannot move files
 */
export async function move(connection: WebdavConnection, from: string, to: string, isNew: boolean): Promise<boolean> {
  const address = connection.urlOf(to);
  const attempt = async (destination: string): Promise<number> => {
    const headers = { Destination: destination, Overwrite: isNew ? 'F' : 'T' };
    return await connection.call('MOVE', from, { headers }, [...ELSEWHERE, 405, 501]);
  };
  let status = connection.movesToPath ? 0 : await attempt(address);
  if (status === 0 || ELSEWHERE.has(status)) {
    const known = connection.movesToPath;
    status = await attempt(new URL(address).pathname);
    if (!known && status < 300) connection.movesToPath = true;
  }
  if (status === 405 || status === 501) {
    connection.canMove = false;
    return false;
  }
  // 207 says that it could not be done (RFC 4918, section 9.9.4).
  // So say some servers, and every login page.
  if (status === 200) await expectListed(connection, to);
  else if (status !== 201 && status !== 204) throw new WebdavStatusError('MOVE', status);
  return true;
}

async function expectListed(connection: WebdavConnection, path: string): Promise<void> {
  const status = await connection.call('PROPFIND', path, { headers: { Depth: '0' } });
  if (status !== 207) throw malformedAnswer('webdav', 'it speaks no WebDAV');
}
