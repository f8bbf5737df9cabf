/** The shutdown of `replicate`: it has one time limit, and a second signal ends it. */
import { LitestreamError } from '@litestream/core';
import { formatDuration } from '../units/duration.ts';
import { loggedSignal } from './signals.ts';
import type { Signals } from './signals.ts';

/** After a timeout or a second signal, the shutdown has this long to close files and log what it skips. */
const GRACE_MS = 1000;
/** The longest delay of a timer in Node, about 24 days. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const HINT =
  'Changes since the last upload are in the database and the local files, and are uploaded when replication restarts.';

export class Shutdown implements Disposable {
  readonly #timeoutMs: number;
  readonly #over = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  /** Begins with the first signal; `timeoutMs` is `shutdown-timeout`. */
  constructor(signals: Signals, timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    signals.stopping.addEventListener('abort', () => this.begin(), { once: true });
    signals.onSecond((signal) => {
      this.#giveUp(`shutdown interrupted by ${loggedSignal(signal).text}`, 'ABORTED', HINT);
    });
  }

  /** Aborted when the shutdown times out, or at a second signal; the reason is the error to exit with. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Starts the timeout, once. */
  begin(): void {
    this.#timer ??= setTimeout(
      () => {
        const after = formatDuration(this.#timeoutMs);
        const hint = `${HINT} Set shutdown-timeout in the config to wait longer.`;
        this.#giveUp(`shutdown timed out after ${after}`, 'TIMEOUT', hint);
      },
      Math.min(this.#timeoutMs, TIMER_MS_MAX),
    );
  }

  /** Settles as `life` does. After a timeout or a second signal, it rejects with the reason, at most a second later. */
  async bound<T>(life: Promise<T>): Promise<T> {
    const { promise: cut, reject } = Promise.withResolvers<never>();
    let grace: NodeJS.Timeout | undefined;
    this.over.addEventListener('abort', () => (grace = setTimeout(reject, GRACE_MS, this.over.reason)), { once: true });
    try {
      return await Promise.race([life.finally(() => this.over.throwIfAborted()), cut]);
    } finally {
      clearTimeout(grace);
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #giveUp(message: string, code: 'ABORTED' | 'TIMEOUT', hint: string): void {
    if (!this.over.aborted) this.#over.abort(new LitestreamError(message, { code, operation: 'stop', hint }));
  }
}
