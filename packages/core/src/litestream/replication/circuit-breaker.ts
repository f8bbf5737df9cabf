import type { Op } from '../../storage/contract/contract.ts';
import { systemClock } from '../../util/clock.ts';
import type { Clock } from '../../util/clock.ts';

/** A database that has waited this long for a replica opens without knowing the last TXID of that replica. */
const WAIT_MS = 3000;
/** For this long after a backend did not answer, no database waits for it: hundreds of databases may share a backend. */
const OPEN_MS = 60_000;

/** Limits how long a database waits for its replicas when it opens, and skips backends that did not answer recently. */
export class CircuitBreaker {
  readonly #clock: Clock;
  /** Open circuits: when each closes again, by the monotonic clock, by backend. */
  readonly #openUntilMs = new Map<string, number>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Closes the circuit: the next call waits for this backend again. */
  reset(backend: string): void {
    this.#openUntilMs.delete(backend);
  }

  /**
   * Settles as `question` does. Resolves to undefined if it takes too long, or if the circuit of its backend is open.
   * Rejects with the reason of an aborted signal. Without a `backend`, the outcome has no effect on later calls.
   */
  async ask<T>(
    backend: string | undefined,
    question: (signal: AbortSignal) => Promise<T>,
    { signal }: Op = {},
  ): Promise<T | undefined> {
    signal?.throwIfAborted();
    const nowMs = this.#clock.monotonic();
    if (backend !== undefined && (this.#openUntilMs.get(backend) ?? nowMs) > nowMs) return undefined;
    const limit = new AbortController();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const end = (): void => {
      limit.abort(new Error('it did not answer in time'));
      resolve(undefined);
    };
    const cancel = this.#clock.schedule(WAIT_MS, end, { keepAlive: true });
    signal?.addEventListener('abort', end, { once: true });
    let answered = false;
    try {
      const answer = await Promise.race([question(limit.signal), promise]);
      signal?.throwIfAborted();
      answered = answer !== undefined;
      return answer;
    } finally {
      cancel();
      signal?.removeEventListener('abort', end);
      if (!answered && backend !== undefined) this.#openUntilMs.set(backend, this.#clock.monotonic() + OPEN_MS);
    }
  }
}
