/** One operation of a guarded client: attempts, waits between them, stall watch, metrics and errors in one place. */
import { sleep, systemClock } from '../../util/clock.ts';
import type { Clock } from '../../util/clock.ts';
import type { LitestreamError, LitestreamErrorCode } from '../../util/error.ts';
import { silentLogger } from '../../util/logger.ts';
import { backoffDelayMs, DEFAULT_RETRY_POLICY } from '../../util/backoff.ts';
import type { RetryPolicy } from '../../util/backoff.ts';
import type { ReplicaClient } from '../contract/contract.ts';
import { ClientCall } from './current-call.ts';
import { DEFAULT_TIMEOUTS, OPERATION_KINDS } from './guard-options.ts';
import type { ClientOperation, GuardOptions, OperationTimeouts } from './guard-options.ts';
import { SourceFailure } from './guard-stream.ts';
import type { Attempt } from './guard-stream.ts';
import { Semaphore } from '../../util/semaphore.ts';
import { StallWatch } from './stall-watch.ts';
import { wrapError } from '../errors/wrap-error.ts';

export interface Call {
  readonly operation: ClientOperation;
  readonly object?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Which failures are retried. `refused`, for calls that are not safe to repeat: only requests that the server
   * certainly did not execute (it throttled). Default `all`.
   */
  readonly repeat?: 'all' | 'refused' | undefined;
  /** Lowers the policy's number of attempts. */
  readonly attemptCountMax?: number | undefined;
  /** The attempt continues after the task has resolved (it opened a body); the receiver of the result ends it. */
  readonly goesOn?: boolean | undefined;
}

export class GuardCalls {
  readonly clock: Clock;
  readonly #random: () => number;
  readonly #client: ReplicaClient;
  readonly #options: GuardOptions;
  readonly #retry: RetryPolicy;
  readonly #timeoutsMs: OperationTimeouts;
  readonly #reads: Semaphore;
  readonly #writes: Semaphore;

  constructor(client: ReplicaClient, options: GuardOptions) {
    this.#client = client;
    this.#options = options;
    this.clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#retry = { ...DEFAULT_RETRY_POLICY, ...options.retry };
    this.#timeoutsMs = { ...DEFAULT_TIMEOUTS, ...options.timeoutsMs };
    this.#reads = new Semaphore(options.concurrencyMax ?? 16);
    this.#writes = new Semaphore(options.concurrencyMax ?? 16);
  }

  get backend(): string {
    return this.#client.type;
  }

  timeoutMs(step: keyof OperationTimeouts): number {
    return this.#timeoutsMs[step];
  }

  /** Runs `task` until it succeeds, fails permanently, or no attempts are left. */
  async run<T>(call: Call, task: (attempt: Attempt) => Promise<T>): Promise<T> {
    for (let number = 1; ; number++) {
      try {
        return await this.inSlot(call, async () => await this.#once(call, number, task));
      } catch (error) {
        await this.recover(number, error, call);
      }
    }
  }

  /** Takes one of the slots for concurrent calls. Reads never wait for writes: a read may feed a write. */
  async inSlot<T>(call: Call, task: () => Promise<T>): Promise<T> {
    const kind = OPERATION_KINDS[call.operation];
    const slots = kind === 'PUT' || kind === 'DELETE' ? this.#writes : this.#reads;
    return await slots.run(task, call.signal);
  }

  /**
   * After the `number`-th consecutive failure: waits if there is a next attempt, otherwise throws the wrapped error.
   */
  async recover(number: number, error: unknown, call: Call): Promise<void> {
    if (call.signal?.aborted === true) throw call.signal.reason;
    if (error instanceof SourceFailure) throw error.cause;
    const wrapped = this.wrap(error, call);
    const { repeat = 'all', attemptCountMax = this.#retry.attemptCountMax } = call;
    const mayRepeat = wrapped.retryable && (repeat === 'all' || wrapped.code === 'THROTTLED');
    if (number >= attemptCountMax || !mayRepeat) throw wrapped;
    await this.#wait(number, wrapped, call);
  }

  async #wait(number: number, error: LitestreamError, call: Call): Promise<void> {
    const delayMs = backoffDelayMs(this.#retry, number, this.#random());
    const { operation, object } = call;
    const logger = this.#options.logger ?? silentLogger;
    logger.debug('replica operation failed, retrying', {
      operation,
      object,
      attempt: number,
      delayMs,
      error: error.message,
    });
    await sleep(this.clock, delayMs, call.signal);
  }

  /** A single attempt for operations with several steps (listings, bodies): its owner ends it. */
  begin(call: Call, number: number, timeoutMs: number): Attempt {
    const { clock } = this;
    const { operation, signal } = call;
    const watch: StallWatch = new StallWatch({ signal, timeoutMs, clock, around: (task) => current.run(task) });
    const current = new ClientCall(watch, operation, call.object, this.#options.labels);
    const startedAtMs = clock.monotonic();
    let ended = false;
    const report = (code: LitestreamErrorCode | undefined): void =>
      this.#options.onOperation?.({
        backend: this.#client.type,
        operation,
        kind: OPERATION_KINDS[operation],
        durationMs: clock.monotonic() - startedAtMs,
        bytes: attempt.bytes,
        count: attempt.count,
        attempt: number,
        code,
      });
    const attempt: Attempt = {
      watch,
      bytes: 0,
      count: 0,
      end: (error) => {
        if (ended) return;
        ended = true;
        watch[Symbol.dispose]();
        if (error === undefined) report(undefined);
        else report(signal?.aborted === true ? 'ABORTED' : this.wrap(error, call).code);
      },
    };
    return attempt;
  }

  wrap(error: unknown, { operation, object }: Call): LitestreamError {
    const client = this.#client;
    return wrapError(error, {
      operation,
      object,
      backend: client.type,
      classify: (unknown) => client.classify?.(unknown),
      secrets: this.#options.secrets,
    });
  }

  async #once<T>(call: Call, number: number, task: (attempt: Attempt) => Promise<T>): Promise<T> {
    const attempt = this.begin(call, number, this.#timeoutsMs[call.operation]);
    try {
      const result = await attempt.watch.step(() => task(attempt));
      if (call.goesOn !== true) attempt.end();
      return result;
    } catch (error) {
      attempt.end(error);
      throw error;
    }
  }
}
