/** A page ledger that was lost is made again, in the background, by reading all pages once. */
import type { Logger } from '../logger.ts';

/** After a failure, say of a database that was closed meanwhile. */
const RETRY_AFTER_MS = 60_000;

export class LedgerRebuild {
  readonly #logger: Logger;
  /** Reads all pages, and makes the ledger of them. */
  readonly #compare: () => Promise<unknown>;
  #isRunning = false;
  #notBeforeMs = 0;

  constructor(logger: Logger, compare: () => Promise<unknown>) {
    this.#logger = logger;
    this.#compare = compare;
  }

  /** Begins, unless that is under way, or failed a moment ago. */
  request(): void {
    if (this.#isRunning || performance.now() < this.#notBeforeMs) return;
    this.#isRunning = true;
    this.#compare()
      .catch((error: unknown) => {
        this.#notBeforeMs = performance.now() + RETRY_AFTER_MS;
        this.#logger.debug('page ledger could not be rebuilt', { error });
      })
      .finally(() => (this.#isRunning = false));
  }
}
