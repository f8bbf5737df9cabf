/** Compares all pages of a database in the background, where a start, or a lost page ledger, leaves something to be proven. */
import type { Logger } from '../logger.ts';

/** Delay after a failure, for example of a database that was closed meanwhile. */
const RETRY_AFTER_MS = 60_000;

export class BackgroundComparison {
  readonly #logger: Logger;
  /** Reads all pages, compares them with what was replicated, and builds the ledger from them if there is none. */
  readonly #compare: () => Promise<unknown>;
  #isRunning = false;
  #notBeforeMs = 0;

  constructor(logger: Logger, compare: () => Promise<unknown>) {
    this.#logger = logger;
    this.#compare = compare;
  }

  /** Begins, unless a comparison is in progress or has just failed. */
  request(): void {
    if (this.#isRunning || performance.now() < this.#notBeforeMs) return;
    this.#isRunning = true;
    this.#compare()
      .catch((error: unknown) => {
        this.#notBeforeMs = performance.now() + RETRY_AFTER_MS;
        this.#logger.debug('pages could not be compared', { error });
      })
      .finally(() => (this.#isRunning = false));
  }
}
