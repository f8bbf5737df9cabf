/** The clock of schedules, retries and timeouts, which tests can replace. */
export interface Clock {
  /** Milliseconds since the epoch. Users and NTP set this clock, so it may jump, also back. */
  now(): number;
  /** Milliseconds since an arbitrary start, by a clock that is never set: use it to measure durations. */
  monotonic(): number;
  /**
   * Calls `task` once, after `delayMs`, unless the returned function is called first. The timer keeps the process alive
   * only with `keepAlive`: use that if a caller waits for the result.
   */
  schedule(delayMs: number, task: () => void, options?: { readonly keepAlive?: boolean }): () => void;
}

/** The clocks of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule: (delayMs, task, { keepAlive = false } = {}) => {
    const timer = setTimeout(task, delayMs);
    if (!keepAlive) timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`; rejects with the signal's reason as soon as it is aborted. */
export async function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const wake = (): void => {
      signal?.removeEventListener('abort', abort);
      resolve();
    };
    const cancel = clock.schedule(delayMs, wake, { keepAlive: true });
    signal?.addEventListener('abort', abort, { once: true });
  });
}
