import { setTimeout as sleep } from 'node:timers/promises';
import { LitestreamError } from '../error.ts';
import type { Logger } from '../logger.ts';
import type { ResolvedDbOptions } from './options.ts';

export interface FollowContext {
  readonly path: string;
  readonly options: ResolvedDbOptions;
  readonly logger: Logger;
  readonly sync: (signal: AbortSignal) => Promise<void>;
}

/** placeholder: timer only */
export class FollowLoop {
  readonly #context: FollowContext;
  #abort: AbortController | undefined;
  #running: Promise<void> | undefined;

  constructor(context: FollowContext) {
    this.#context = context;
  }

  start(): void {
    if (this.#running !== undefined) return;
    this.#abort = new AbortController();
    this.#running = this.#run(this.#abort.signal);
  }

  async stop(): Promise<void> {
    this.#abort?.abort(new LitestreamError('stopped', { code: 'ABORTED' }));
    await this.#running;
    this.#running = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { sync, logger, options } = this.#context;
    while (!signal.aborted) {
      try {
        await sync(signal);
      } catch (error) {
        if (!signal.aborted) logger.error('sync error', { error });
      }
      await sleep(options.syncIntervalMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}
