import type { Op } from '@litestream/core';

/** How long a database waits for a replica before it is opened without knowing how far that one reaches. */
const WAIT_MS = 3000;
/** How long a backend that did not answer is not waited for again: hundreds of databases may share it. */
const GIVEN_UP_MS = 60_000;

/** Waits for backends, but not for one that has just kept somebody waiting in vain. */
export class Patience {
  readonly #waitMs: number;
  /** Until when a backend is not waited for, by its name. */
  readonly #givenUp = new Map<string, number>();

  constructor(waitMs: number = WAIT_MS) {
    this.#waitMs = waitMs;
  }

  /** It has answered after all. */
  forgive(backend: string): void {
    this.#givenUp.delete(backend);
  }

  /**
   * What `ask` resolves to, or rejects with; undefined if it took too long. Rejects with the reason of an aborted signal.
   * Without a backend nobody else depends on how it ends.
   */
  async wait<T>(
    backend: string | undefined,
    ask: (signal: AbortSignal) => Promise<T>,
    { signal }: Op = {},
  ): Promise<T | undefined> {
    signal?.throwIfAborted();
    if (backend !== undefined && (this.#givenUp.get(backend) ?? 0) > Date.now()) return undefined;
    const limit = new AbortController();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const end = (): void => {
      limit.abort(new Error('it did not answer in time'));
      resolve(undefined);
    };
    const timer = setTimeout(end, this.#waitMs);
    signal?.addEventListener('abort', end, { once: true });
    let answered = false;
    try {
      const answer = await Promise.race([ask(limit.signal), promise]);
      signal?.throwIfAborted();
      answered = answer !== undefined;
      return answer;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      if (!answered && backend !== undefined) this.#givenUp.set(backend, Date.now() + GIVEN_UP_MS);
    }
  }
}
