/** Time as schedules, retries and timeouts see it, so that a test can own it. */
export interface Clock {
  /** Milliseconds since the epoch. People and NTP set it, so it may jump, also back. */
  now(): number;
  /** Milliseconds since some moment, whoever sets the clock: what durations are measured by. */
  monotonic(): number;
  /**
   * Calls `task` once, after `delayMs`, unless the returned function is called first. Only with `keepAlive` is the
   * process kept alive for it: where somebody waits for what it does.
   */
  schedule(delayMs: number, task: () => void, options?: { readonly keepAlive?: boolean }): () => void;
}

/** The machine's own. */
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
