import { setMaxListeners } from 'node:events';

import type { NatsConnection } from '@nats-io/transport-node';

/** A request is lost when its connection breaks, but the SDK lets it wait for its whole timeout. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionError';

  constructor() {
    super('the connection to the NATS server was lost');
  }
}

/**
 * Watches a connection that reconnects by itself. `signal` is aborted when the connection breaks; after a reconnection there
 * is a new one.
 */
export class Link {
  #broken: AbortController = newController();
  #up = Promise.withResolvers<void>();

  constructor(connection: NatsConnection) {
    this.#up.resolve();
    void this.#watch(connection);
  }

  get signal(): AbortSignal {
    return this.#broken.signal;
  }

  /** Resolves when the connection is up, at once if it is. Rejects when it is abandoned. */
  up(): Promise<void> {
    return this.#up.promise;
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect' && !this.#broken.signal.aborted) {
        this.#up = Promise.withResolvers<void>();
        this.#up.promise.catch(() => undefined);
        this.#broken.abort(new ConnectionLostError());
      } else if (type === 'reconnect') {
        this.#broken = newController();
        this.#up.resolve();
      }
    }
    this.#broken.abort(new ConnectionLostError());
    this.#up.reject(new ConnectionLostError());
  }
}

/** Aborted with either signal. Must be disposed: `source` may live as long as the process. */
export class EitherSignal implements Disposable {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #sources: readonly AbortSignal[];

  constructor(...sources: readonly (AbortSignal | undefined)[]) {
    this.signal = this.#controller.signal;
    this.#sources = sources.filter((source) => source !== undefined);
    for (const source of this.#sources) {
      if (source.aborted) this.#controller.abort(source.reason);
      source.addEventListener('abort', this.#abort, { once: true });
    }
  }

  [Symbol.dispose](): void {
    for (const source of this.#sources) source.removeEventListener('abort', this.#abort);
  }

  readonly #abort = ({ target }: Event): void => this.#controller.abort((target as AbortSignal).reason);
}

/** All operations of a client listen at the same time, which is not a leak. */
function newController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
