import type { Op } from '@litestream/core';

/** A database that has waited this long for a replica opens without knowing the last TXID of that replica. */
const WAIT_MS = 3000;
/** After a backend did not answer, no database waits for it for this long: hundreds of databases may share it. */
const OPEN_MS = 60_000;

/** Limits how long a database waits for its replicas when it opens, and skips backends that did not answer recently. */
export class CircuitBreaker {
  readonly #waitMs: number;
  /** Open circuits: when each closes again, in milliseconds since the epoch, by backend. */
  readonly #openUntil = new Map<string, number>();

  constructor(waitMs: number = WAIT_MS) {
    this.#waitMs = waitMs;
  }

  /** Closes the circuit: the next call waits for this backend again. */
  reset(backend: string): void {
    this.#openUntil.delete(backend);
  }

  /**
   * Settles as `ask` does. Resolves to undefined if `ask` takes too long, or if the circuit of its backend is open.
   * Rejects with the reason of an aborted signal. Without a `backend`, the outcome has no effect on later calls.
   */
  async call<T>(
    backend: string | undefined,
    ask: (signal: AbortSignal) => Promise<T>,
    { signal }: Op = {},
  ): Promise<T | undefined> {
    signal?.throwIfAborted();
    if (backend !== undefined && (this.#openUntil.get(backend) ?? 0) > Date.now()) return undefined;
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
      if (!answered && backend !== undefined) this.#openUntil.set(backend, Date.now() + OPEN_MS);
    }
  }
}
