import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/logger.ts';
import { RetryState } from './retry-state.ts';

export interface UploadLoopOptions {
  /** One round of uploads. The signal is aborted when the loop is closed. */
  readonly round: (signal: AbortSignal) => Promise<void>;
  /** Is there something that the last round did not upload? Called after each round. */
  readonly isBehind: () => boolean;
  /** Minimum time between the starts of two rounds, in milliseconds. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each failed round, which is retried automatically. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/**
 * Decides when a replica uploads: at once after a quiet time, then once per interval, later after failures. One round
 * at a time; a request while one runs or waits has no effect.
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

  /** Aborted when the loop is closed; undefined while rounds are not allowed. */
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

  /**
   * Begins no further round. Returns the controller that aborts the current one; undefined if rounds were not allowed.
   */
  close(): AbortController | undefined {
    const lifetime = this.#lifetime;
    this.#lifetime = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    return lifetime;
  }

  /** Resolves once no round is running. */
  async idle(): Promise<void> {
    await this.#round;
  }

  #begin(): void {
    const signal = this.#lifetime?.signal;
    if (signal === undefined) return;
    this.#notBeforeMs = this.#options.clock.monotonic() + this.#options.intervalMs;
    this.#round = this.#run(signal).finally(() => {
      this.#round = undefined;
      // This also catches commits that arrived during the round, and missed notifications.
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
