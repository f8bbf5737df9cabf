/** Pings a monitoring service while replication works: `heartbeat-url`. */
import type { Logger } from '@litestream/core';
import { describeError } from '../util/describe-error.ts';
import { trustMachine } from '../util/trust.ts';
import type { Daemon } from '../daemon/daemon.ts';

const CHECK_INTERVAL_MS = 15_000;
const TIMEOUT_MS = 30_000;

export interface HeartbeatOptions {
  readonly url: string;
  /** Minimum time between two pings, and the maximum age of a recent sync. */
  readonly intervalMs: number;
  readonly daemon: Pick<Daemon, 'report'>;
  readonly logger: Logger;
  readonly now?: (() => number) | undefined;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #pingedAtMs = Number.NEGATIVE_INFINITY;
  #ping: Promise<void> = Promise.resolve();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ system: 'store' });
    this.#now = options.now ?? (() => Date.now());
  }

  start(checkIntervalMs: number = CHECK_INTERVAL_MS): void {
    if (this.#options.url.startsWith('https:')) trustMachine();
    this.#logger.info('starting heartbeat monitor', { interval: checkIntervalMs });
    this.#timer = setInterval(() => this.check(), checkIntervalMs);
    this.#timer.unref();
  }

  /** Pings if a ping is due, and if every database that is not stopped was fully replicated within the interval. */
  check(): void {
    const nowMs = this.#now();
    const { intervalMs, daemon } = this.#options;
    if (nowMs - this.#pingedAtMs < intervalMs) return;
    const running = daemon.report().filter(({ state }) => state === 'replicating');
    const isWell = running.every(
      ({ lastSyncAt }) => lastSyncAt !== undefined && lastSyncAt.getTime() >= nowMs - intervalMs,
    );
    if (running.length === 0 || !isWell) return;
    // Set before the request, so that a service that does not answer is not pinged more often.
    this.#pingedAtMs = nowMs;
    this.#ping = this.#send();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#abort.abort(new Error('litestream is stopping'));
    await this.#ping;
  }

  async #send(): Promise<void> {
    // The part after the host is often the secret key of the service.
    const url = `${new URL(this.#options.url).origin}/…`;
    try {
      const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(TIMEOUT_MS)]);
      const response = await fetch(this.#options.url, { signal });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`unexpected status code: ${response.status}`);
      this.#logger.debug('heartbeat ping sent', { url });
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#logger.error('heartbeat ping failed', {
        url,
        error: describeError(error).replaceAll(this.#options.url, url),
      });
    }
  }
}
