/**
 * The call of a storage client that code runs for, in its callbacks too. A library may throw where nothing catches it,
 * in a callback of a socket or in a promise that it does not await; with this, a program that listens for such errors
 * can find the replica.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { LitestreamError } from '../../util/error.ts';
import type { LogFields } from '../../util/logger.ts';
import { errorText } from '../errors/error-text.ts';
import type { ClientOperation } from './guard-options.ts';
import type { StallWatch } from './stall-watch.ts';

export class ClientCall {
  readonly operation: ClientOperation;
  readonly object: string | undefined;
  /** `GuardOptions.labels`. */
  readonly labels: LogFields;
  readonly #watch: StallWatch;

  constructor(watch: StallWatch, operation: ClientOperation, object: string | undefined, labels: LogFields = {}) {
    this.#watch = watch;
    this.operation = operation;
    this.object = object;
    this.labels = labels;
  }

  /**
   * Ends the call, which would otherwise wait for its time limit, because of an error that nothing caught. It is
   * retried as after any error of the server. Does nothing if the call has ended.
   */
  fail(cause: unknown): void {
    this.#watch.fail(
      new LitestreamError(`uncaught error in a library: ${errorText(cause)}`, {
        code: 'UNAVAILABLE',
        retryable: true,
        hint: 'The server may have sent an answer that the library cannot read.',
      }),
    );
  }

  /** Runs `task` for this call: in it and in its callbacks, `currentClientCall` returns this. */
  run<T>(task: () => T): T {
    return calls.run(this, task);
  }
}

const calls = new AsyncLocalStorage<ClientCall>();

/** The call that the current code belongs to; undefined if there is none. The call may have ended. */
export function currentClientCall(): ClientCall | undefined {
  return calls.getStore();
}
