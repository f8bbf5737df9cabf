/** Compares all pages of a database in the background after a start, or a lost page ledger, left pages unproven. */
import type { Logger } from '../../util/logger.ts';

/** Delay after a comparison that failed (for example because the database was closed meanwhile) or left pages unproven. */
const RETRY_AFTER_MS = 60_000;
/** The delay is at least this many times as long as that comparison, which read the whole database. */
const REST_FACTOR = 9;

export interface BackgroundComparisonParts {
  readonly logger: Logger;
  /** Reads all pages, compares them with what was replicated, and builds the ledger from them if there is none. */
  readonly compare: () => Promise<unknown>;
  /** Are there unproven pages? */
  readonly isDue: () => boolean;
}

export class BackgroundComparison {
  readonly #parts: BackgroundComparisonParts;
  #isRunning = false;
  #notBeforeMs = 0;

  constructor(parts: BackgroundComparisonParts) {
    this.#parts = parts;
  }

  /** A comparison is due, and may begin now. Cheap. */
  get isWaiting(): boolean {
    return !this.#isRunning && this.#parts.isDue() && performance.now() >= this.#notBeforeMs;
  }

  /** Begins if a comparison is due, none is in progress, and the last one did not just leave it due. */
  request(): void {
    if (!this.isWaiting) return;
    this.#isRunning = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    const { compare, isDue, logger } = this.#parts;
    const startedMs = performance.now();
    let hasFailed = false;
    try {
      await compare();
    } catch (error) {
      hasFailed = true;
      logger.debug('pages could not be compared', { error });
    }
    const nowMs = performance.now();
    if (hasFailed || isDue()) this.#notBeforeMs = nowMs + Math.max(RETRY_AFTER_MS, REST_FACTOR * (nowMs - startedMs));
    this.#isRunning = false;
  }
}
