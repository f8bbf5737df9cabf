import type { Clock } from '../../util/clock.ts';
import { LitestreamError } from '../../util/error.ts';

export interface WatchOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long a call may make no progress, in milliseconds. Infinity: no limit. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Runs each step. */
  readonly around?: (<T>(run: () => T) => T) | undefined;
}

/**
 * Watches one call of a client: ends it at once when the caller aborts, or when it made no progress for too long, even
 * if the client ignores the signal. Time in which the client waits for core (a body's source, a consumer that pauses)
 * does not count.
 */
export class StallWatch implements Disposable {
  readonly #controller = new AbortController();
  readonly #options: WatchOptions;
  #timeoutMs: number;
  #fail: ((reason: unknown) => void) | undefined;
  #movedAtMs = 0;
  #suspended = 0;
  #disposed = false;
  #cancelTimer: (() => void) | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs;
    const { signal } = options;
    if (signal?.aborted === true) this.#controller.abort(signal.reason);
    else signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** The signal for the client: aborted with the caller's reason, or with `TIMEOUT`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Another limit for the steps from here on. */
  limit(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
    this.#disarm();
  }

  /** Runs one step under watch. One at a time. */
  async step<T>(run: () => PromiseLike<T>): Promise<T> {
    const { around = (task) => task() } = this.#options;
    this.signal.throwIfAborted();
    this.moved();
    this.#arm();
    return await new Promise<T>((resolve, reject) => {
      this.#fail = reject;
      const settle = <V>(next: (value: V) => void): ((value: V) => void) => {
        return (value) => {
          // A later step may already be running if this one was abandoned.
          if (this.#fail === reject) this.#fail = undefined;
          next(value);
        };
      };
      // Called inside a promise, so that a client which throws at once rejects like any other.
      Promise.resolve()
        .then(() => around(run))
        .then(settle(resolve), settle(reject));
    });
  }

  /** The call has made progress. */
  moved(): void {
    this.#movedAtMs = this.#options.clock.monotonic();
  }

  /** Runs work that the client waits for, with the timeout paused. */
  async outside<T>(run: () => PromiseLike<T>): Promise<T> {
    this.#suspended++;
    try {
      return await run();
    } finally {
      this.#suspended--;
      this.moved();
    }
  }

  /** Ends the call with this reason, unless it has ended. */
  fail(reason: unknown): void {
    if (!this.#disposed) this.#end(reason);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#options.signal?.removeEventListener('abort', this.#abort);
    this.#disarm();
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  readonly #abort = (): void => this.#end(this.#options.signal?.reason);

  #end(reason: unknown): void {
    this.#controller.abort(reason);
    const fail = this.#fail;
    this.#fail = undefined;
    fail?.(reason);
  }

  #arm(): void {
    const { clock } = this.#options;
    const timeoutMs = this.#timeoutMs;
    if (this.#cancelTimer !== undefined || timeoutMs === Number.POSITIVE_INFINITY) return;
    const idleMs = clock.monotonic() - this.#movedAtMs;
    const check = (): void => {
      this.#cancelTimer = undefined;
      this.#check();
    };
    this.#cancelTimer = clock.schedule(Math.max(1, timeoutMs - idleMs), check, { keepAlive: true });
  }

  #check(): void {
    // There is no timeout between steps: the next step arms the timer again.
    if (this.#fail === undefined) return;
    const { clock } = this.#options;
    const timeoutMs = this.#timeoutMs;
    if (this.#suspended > 0) this.moved();
    if (clock.monotonic() - this.#movedAtMs < timeoutMs) {
      this.#arm();
      return;
    }
    this.#end(
      new LitestreamError(`nothing moved for ${timeoutMs} ms`, {
        code: 'TIMEOUT',
        retryable: true,
        hint: 'Check the connection to the replica.',
      }),
    );
  }
}
