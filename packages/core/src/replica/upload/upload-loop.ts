import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/logger.ts';
import { RetryState } from './retry-state.ts';

export interface UploadLoopOptions {
  /** One round of uploads. Its signal is aborted when the rounds end. */
  readonly round: (signal: AbortSignal) => Promise<void>;
  /** Is there something that the last round did not send? Asked after each. */
  readonly isBehind: () => boolean;
  /** Least time between the starts of two rounds. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each round that failed and will be tried again by itself. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/**
 * When a replica uploads by itself: at once after quiet, then once per interval, later after failures. One round at a
 * time; asking for one while one runs or waits changes nothing.
 */
export class UploadLoop {
  readonly #options: UploadLoopOptions;
  readonly #retry: RetryState;
  #lifetime: AbortController | undefined;
  #cancelTimer: (() => void) | undefined;
  #round: Promise<void> | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(options: UploadLoopOptions) {
    this.#options = options;
    this.#retry = new RetryState(options.logger, options.intervalMs);
  }

  /** Aborted when the rounds end; undefined while there are none. */
  get signal(): AbortSignal | undefined {
    return this.#lifetime?.signal;
  }

  /** Allows rounds from now on. */
  start(): void {
    this.#lifetime ??= new AbortController();
  }

  /** Starts a round as soon as the interval, or the wait after a failure, allows it. */
  request(): void {
    if (this.#lifetime === undefined || this.#cancelTimer !== undefined || this.#round !== undefined) return;
    const delayMs = this.#notBeforeMs - this.#options.clock.monotonic();
    if (delayMs <= 0) {
      this.#begin();
      return;
    }
    this.#cancelTimer = this.#options.clock.schedule(delayMs, () => {
      this.#cancelTimer = undefined;
      this.#begin();
    });
  }

  /** No further round begins. Returns what aborts the one under way; undefined if rounds were not allowed. */
  close(): AbortController | undefined {
    const lifetime = this.#lifetime;
    this.#lifetime = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    return lifetime;
  }

  /** Resolves once no round is under way. */
  async idle(): Promise<void> {
    await this.#round;
  }

  #begin(): void {
    const signal = this.#lifetime?.signal;
    if (signal === undefined) return;
    this.#notBeforeMs = this.#options.clock.monotonic() + this.#options.intervalMs;
    this.#round = this.#run(signal).finally(() => {
      this.#round = undefined;
      // Also the net under the notifications: what came during the round, or was missed, is seen here.
      if (this.#options.isBehind()) this.request();
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      await this.#options.round(signal);
      this.#retry.succeeded();
    } catch (error) {
      if (signal.aborted) return;
      const nowMs = this.#options.clock.monotonic();
      this.#notBeforeMs = nowMs + this.#retry.failed(error, nowMs);
      this.#options.onError(error);
    }
  }
}
