/**
 * The last resort of a daemon: an error that a library throws where nothing can catch it, in a callback of a socket or in a
 * promise that it does not await. It would end the process, and with it the replication of every other database. The call
 * that it came from gets no answer, so core's time limit ends that call, and only its replica is affected.
 */
import type { Logger } from '@litestream/core';
import { describeError } from '../describe-error.ts';

export class StrayErrors implements Disposable {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Catches such errors until this is disposed. */
  watch(): void {
    process.on('uncaughtException', this.#report);
    process.on('unhandledRejection', this.#report);
  }

  [Symbol.dispose](): void {
    process.off('uncaughtException', this.#report);
    process.off('unhandledRejection', this.#report);
  }

  readonly #report = (error: unknown): void => {
    this.#logger.error('unexpected error in a library, replication goes on', { error: describeError(error) });
    if (error instanceof Error) this.#logger.debug('where the unexpected error came from', { stack: error.stack });
  };
}
