/** Files of the replica are gone: nothing on it counts as replicated until a snapshot is uploaded. */
import type { Logger } from '../util/logger.ts';

export class Cut {
  readonly #logger: Logger;
  #isOpen = false;
  #isReported = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** A file is missing. It is not certain yet that no other process compacted it. */
  suspect(): void {
    this.#isOpen = true;
  }

  /** The files were deleted. Warns once for each cut. */
  confirm(): void {
    this.#isOpen = true;
    if (this.#isReported) return;
    this.#isReported = true;
    const what = 'files of the replica were deleted by another program, taking a snapshot';
    this.#logger.warn(`${what}; nothing counts as replicated until it is there`);
  }

  /** A snapshot was uploaded. Returns whether it was needed. */
  heal(): boolean {
    const wasOpen = this.#isOpen;
    this.#isOpen = this.#isReported = false;
    return wasOpen;
  }
}
