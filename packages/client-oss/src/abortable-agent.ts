import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent as HttpAgent } from 'node:http';
import type { ClientRequest } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

import type { trustedTls } from '@litestream/core/client';

/** What a call of the SDK has to keep to. */
export interface CallLimits {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of an answer. The SDK keeps answers in memory, except those of downloads. */
  readonly sizeMax: number;
}

/**
 * Sockets for the SDK, which knows nothing of an `AbortSignal` and of sizes: each request that begins inside `run` is destroyed
 * when the signal is aborted, or when its answer is too long. Node hands each request to its agent, which sees it there.
 */
export class AbortableAgents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  readonly #limits = new AsyncLocalStorage<CallLimits & { isExceeded: boolean }>();

  constructor(socketsMax: number, tls: ReturnType<typeof trustedTls>) {
    // Honours HTTP(S)_PROXY and NO_PROXY.
    const options = { keepAlive: true, maxSockets: socketsMax, proxyEnv: process.env };
    this.http = new HttpAgent(options);
    this.https = new HttpsAgent({ ...options, ...tls });
    this.#watch(this.http);
    this.#watch(this.https);
  }

  /** Runs calls of the SDK. Rejects with the signal's reason, or with `tooLong()` if an answer had more than `sizeMax` bytes. */
  async run<T>(limits: CallLimits, tooLong: () => Error, work: () => Promise<T>): Promise<T> {
    const { signal } = limits;
    signal?.throwIfAborted();
    const call = { ...limits, isExceeded: false };
    try {
      return await this.#limits.run(call, work);
    } catch (error) {
      signal?.throwIfAborted();
      throw call.isExceeded ? tooLong() : error;
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
      const call = this.#limits.getStore();
      if (call?.signal !== undefined) destroyOnAbort(request, call.signal);
      if (call !== undefined && call.sizeMax !== Infinity) {
        destroyOnSize(request, call.sizeMax, () => (call.isExceeded = true));
      }
      addRequest(request, ...rest);
    };
  }
}

function destroyOnAbort(request: ClientRequest, signal: AbortSignal): void {
  const abort = (): void => void request.destroy(new Error('aborted'));
  signal.addEventListener('abort', abort, { once: true });
  request.once('close', () => signal.removeEventListener('abort', abort));
  if (signal.aborted) queueMicrotask(abort);
}

function destroyOnSize(request: ClientRequest, sizeMax: number, onExceeded: () => void): void {
  request.once('response', (response) => {
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.byteLength;
      if (size <= sizeMax) return;
      onExceeded();
      request.destroy(new Error('the answer is too long'));
    });
  });
}
