import { setTimeout as sleep } from 'node:timers/promises';

import type { WebdavConnection } from './connection.ts';
import { WebdavStatusError } from './errors.ts';
import { expectGone } from './proof.ts';

/**
 * Statuses with which servers refuse the URL of another server. Behind a proxy that terminates TLS or changes the host name,
 * the right URL looks like one.
 */
const ELSEWHERE: ReadonlySet<number> = new Set([400, 403, 502]);

/** How often a failed move is repeated. Of several writers that replace a file, each deletes it first, and one may miss it. */
const ATTEMPTS = 5;

/**
 * Moves a file. Sends the destination as a URL, which servers before RFC 4918 need, and as a path if the server refuses that.
 *
 * @returns false: the server cannot move files
 */
export async function move(connection: WebdavConnection, from: string, to: string, isNew: boolean): Promise<boolean> {
  const address = connection.urlOf(to);
  const attempt = async (destination: string): Promise<number> => {
    const headers = { Destination: destination, Overwrite: isNew ? 'F' : 'T' };
    return await connection.call('MOVE', from, { headers }, [...ELSEWHERE, 404, 405, 501]);
  };
  const attemptEither = async (): Promise<number> => {
    let status = connection.movesToPath ? 0 : await attempt(address);
    if (status === 0 || ELSEWHERE.has(status)) {
      const known = connection.movesToPath;
      status = await attempt(new URL(address).pathname);
      if (!known && status < 300) connection.movesToPath = true;
    }
    return status;
  };
  let status = await attemptEither();
  for (let left = isNew ? 0 : ATTEMPTS; status === 404 && left > 0 && (await connection.exists(from)); left--) {
    await sleep(40 * (1 + ATTEMPTS - left));
    status = await attemptEither();
  }
  if (status === 405 || status === 501) {
    connection.canMove = false;
    return false;
  }
  // Some servers answer 200 after a move, and so does every login page. 207 means that it failed (RFC 4918, section 9.9.4).
  if (status === 200) await expectGone(connection, from);
  else if (status !== 201 && status !== 204) throw new WebdavStatusError('MOVE', status);
  return true;
}
