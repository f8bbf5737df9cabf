/** Rebuilds a lost page ledger in the background, by reading all pages once. */
import type { Logger } from '../logger.ts';

/** Delay after a failure, for example of a database that was closed meanwhile. */
const RETRY_AFTER_MS = 60_000;

export class LedgerRebuild {
  readonly #logger: Logger;
  /** Reads all pages, and builds the ledger from them. */
  readonly #compare: () => Promise<unknown>;
  #isRunning = false;
  #notBeforeMs = 0;

  constructor(logger: Logger, compare: () => Promise<unknown>) {
    this.#logger = logger;
    this.#compare = compare;
  }

  /** Begins, unless a rebuild is in progress or has just failed. */
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
