/** Time and chance as retries and timeouts see them, so that a test can own both. */
export interface Timing {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `task` once after `delayMs`, unless the returned function is called first. */
  after(delayMs: number, task: () => void): () => void;
  /** Uniform in [0, 1). */
  random(): number;
}

/** The machine's own clock. Its timers keep the process alive: somebody waits for what they wait for. */
export const systemTiming: Timing = {
  now: () => Date.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

/** Resolves after `delayMs`; rejects with the signal's reason as soon as it is aborted. */
export async function sleep(timing: Timing, delayMs: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = timing.after(delayMs, () => {
      signal?.removeEventListener('abort', abort);
      resolve();
    });
    signal?.addEventListener('abort', abort, { once: true });
  });
}
