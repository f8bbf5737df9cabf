import { setTimeout as sleep } from 'node:timers/promises';

import { malformedAnswer } from '@litestream/core';

import type { WebdavConnection } from './connection.ts';
import { WebdavStatusError } from './errors.ts';

const ATTEMPTS = 6;

/** Creates collections, each once: callers that need the same one wait for the same request. */
export class WebdavFolders {
  readonly #connection: WebdavConnection;
  readonly #made = new Map<string, Promise<void>>();

  constructor(connection: WebdavConnection) {
    this.#connection = connection;
  }

  /** Creates a collection and its parents, unless it is known to exist. */
  ensure(path: string): Promise<void> {
    let made = this.#made.get(path);
    if (made === undefined) {
      made = this.#make(path).catch((error: unknown) => {
        this.#made.delete(path);
        throw error;
      });
      this.#made.set(path, made);
    }
    return made;
  }

  /** Drops the known collections, because one of them was removed. */
  forget(): void {
    this.#made.clear();
  }

  async #make(path: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const status = await this.#connection.call('MKCOL', `${path}/`, {}, [403, 404, 405, 409, 423, 500]);
      // 405 means that the collection exists (RFC 4918, section 9.3.1).
      if (status === 201 || status === 405) return;
      const parent = path.slice(0, path.lastIndexOf('/'));
      if ((status === 409 || status === 404) && parent !== '') {
        // The parent was created once and removed since.
        this.#made.delete(parent);
        await this.ensure(parent);
      }
      // Apache answers 403, others 423 or 500, if another client creates the same collection at the same time. Some servers
      // answer 200 when they create a collection, and so does every login page.
      else if (await this.#exists(path)) return;
      else if (status < 300) throw malformedAnswer('webdav', 'no collection was created');
      if (attempt === ATTEMPTS) throw new WebdavStatusError('MKCOL', status);
      await sleep(20 * 2 ** attempt);
    }
  }

  async #exists(path: string): Promise<boolean> {
    return (await this.#connection.call('PROPFIND', `${path}/`, { headers: { Depth: '0' } }, [403, 404])) === 207;
  }
}
