import { sleep } from '../../util/clock.ts';
import { LitestreamError } from '../../util/error.ts';
import type { ReplicaClient } from '../contract/contract.ts';
import type { Call, GuardCalls } from './guard-call.ts';

/** Calls a client's `init` once for all callers, again after it failed, and not at all once closed. */
export class GuardInit {
  readonly #client: ReplicaClient;
  readonly #calls: GuardCalls;
  readonly #closing = new AbortController();
  #ready: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(client: ReplicaClient, calls: GuardCalls) {
    this.#client = client;
    this.#calls = calls;
  }

  /** Resolves when the client is initialised. If a caller aborts, the others continue to wait. */
  async ready(call: Call): Promise<void> {
    call.signal?.throwIfAborted();
    if (this.#closed !== undefined) throw closedError(this.#client.type, call.operation);
    this.#ready ??= this.#start();
    await abortable(this.#ready, call.signal);
  }

  async close(): Promise<void> {
    this.#closed ??= this.#end();
    await this.#closed;
  }

  #start(): Promise<void> {
    const { signal } = this.#closing;
    const started = this.#calls.run({ operation: 'init', signal }, async ({ watch }) => {
      await this.#client.init({ signal: watch.signal });
    });
    // All waiting callers get the failure; the next call tries again.
    started.catch(() => {
      this.#ready = undefined;
    });
    return started;
  }

  async #end(): Promise<void> {
    this.#closing.abort(closedError(this.#client.type, 'init'));
    // Some libraries do not close while a server does not answer; that must not prevent the process from ending.
    const waited = new AbortController();
    try {
      await Promise.race([
        this.#client[Symbol.asyncDispose](),
        sleep(this.#calls.clock, CLOSE_MS_MAX, waited.signal).catch(() => undefined),
      ]);
    } finally {
      waited.abort();
    }
  }
}

/** In milliseconds. A connection that is still open then closes when the process ends. */
const CLOSE_MS_MAX = 5000;

async function abortable(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await promise;
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function closedError(backend: string, operation: string): LitestreamError {
  return new LitestreamError(`${backend}: ${operation}: the client is closed`, { code: 'ABORTED', backend, operation });
}
