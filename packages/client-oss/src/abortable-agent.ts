import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent as HttpAgent } from 'node:http';
import type { ClientRequest } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

import type { trustedTls } from '@litestream/core';

/**
 * Agents for the SDK, which does not support `AbortSignal`: every request that begins inside `run` is destroyed when the
 * signal is aborted. Node passes each request to its agent, which registers it.
 */
export class AbortableAgents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  readonly #signals = new AsyncLocalStorage<AbortSignal | undefined>();

  constructor(socketsMax: number, tls: ReturnType<typeof trustedTls>) {
    // Honours HTTP(S)_PROXY and NO_PROXY.
    const options = { keepAlive: true, maxSockets: socketsMax, proxyEnv: process.env };
    this.http = new HttpAgent(options);
    this.https = new HttpsAgent({ ...options, ...tls });
    this.#watch(this.http);
    this.#watch(this.https);
  }

  /** Runs calls of the SDK with a signal. */
  async run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await this.#signals.run(signal, work);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  }

  close(): void {
    this.http.destroy();
    this.https.destroy();
  }

  #watch(agent: HttpAgent): void {
    const inner = agent as unknown as { addRequest(request: ClientRequest, ...rest: unknown[]): void };
    const addRequest = inner.addRequest.bind(agent);
    inner.addRequest = (request, ...rest) => {
      const signal = this.#signals.getStore();
      if (signal !== undefined) {
        const abort = (): void => void request.destroy(new Error('aborted'));
        signal.addEventListener('abort', abort, { once: true });
        request.once('close', () => signal.removeEventListener('abort', abort));
        if (signal.aborted) queueMicrotask(abort);
      }
      addRequest(request, ...rest);
    };
  }
}
