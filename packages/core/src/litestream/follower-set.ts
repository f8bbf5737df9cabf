import type { Follower } from '../follower/follower.ts';

/** Followers that run until they are stopped. */
export class FollowerSet {
  readonly #onError: (path: string, error: unknown) => void;
  /** What ends each follower, and its end. */
  readonly #running = new Map<AbortController, Promise<void>>();

  constructor(onError: (path: string, error: unknown) => void) {
    this.#onError = onError;
  }

  /** `signal` ends this follower. `release` is called once it has ended. */
  run(follower: Follower, signal: AbortSignal | undefined, release: () => Promise<void>): void {
    const stop = new AbortController();
    const end = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
    const running = this.#run(follower, end)
      .finally(() => this.#running.delete(stop))
      .then(release);
    this.#running.set(stop, running);
  }

  /** Resolves once all have ended. */
  async stop(): Promise<void> {
    for (const stop of this.#running.keys()) stop.abort();
    await Promise.all(this.#running.values());
  }

  async #run(follower: Follower, signal: AbortSignal): Promise<void> {
    try {
      await follower.run(signal);
    } catch (error) {
      this.#onError(follower.path, error);
    } finally {
      await follower.close();
    }
  }
}
