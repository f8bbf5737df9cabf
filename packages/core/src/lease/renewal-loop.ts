import type { Clock } from '../util/clock.ts';

export interface RenewalLoopParts {
  readonly clock: Clock;
  /** Renews the lease. Must not reject. */
  readonly renew: (lifetime: AbortSignal) => Promise<void>;
  /** Called when the lease was not renewed for as long as it may be used. */
  readonly onEnd: () => void;
}

/** Renews a lease again and again, from when it is acquired until it is released or lost. One renewal at a time. */
export class RenewalLoop {
  readonly #parts: RenewalLoopParts;
  #lifetime: AbortController | undefined;
  #cancelRenewal: (() => void) | undefined;
  #cancelEnd: (() => void) | undefined;
  #renewal: Promise<void> | undefined;

  constructor(parts: RenewalLoopParts) {
    this.#parts = parts;
  }

  get isRunning(): boolean {
    return this.#lifetime !== undefined;
  }

  /** The renewal that is in progress. It may have been sent long ago. */
  get current(): Promise<void> | undefined {
    return this.#renewal;
  }

  begin(): void {
    this.#lifetime = new AbortController();
  }

  /** Aborts a renewal that is in progress. */
  end(reason: unknown): void {
    this.#cancelRenewal?.();
    this.#cancelEnd?.();
    this.#lifetime?.abort(reason);
    this.#lifetime = undefined;
  }

  /** The lease was renewed: renews it in `renewMs`, and calls `onEnd` in `endMs` unless that succeeds. */
  renewed({ renewMs, endMs }: { readonly renewMs: number; readonly endMs: number }): void {
    const { clock, onEnd } = this.#parts;
    this.#cancelEnd?.();
    this.#cancelEnd = clock.schedule(endMs, onEnd);
    this.renewIn(renewMs);
  }

  renewIn(delayMs: number): void {
    this.#cancelRenewal?.();
    this.#cancelRenewal = this.#parts.clock.schedule(delayMs, () => void this.renew(undefined));
  }

  /** Callers share a renewal that is in progress. Rejects only if the signal of the caller is aborted. */
  async renew(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#lifetime === undefined) return;
    this.#renewal ??= this.#run(this.#lifetime.signal).finally(() => (this.#renewal = undefined));
    if (signal === undefined) return await this.#renewal;
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([this.#renewal, promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #run(lifetime: AbortSignal): Promise<void> {
    this.#cancelRenewal?.();
    await this.#parts.renew(lifetime);
  }
}
