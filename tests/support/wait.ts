import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

/**
 * A delay that is part of a scenario ("write for 200 ms"), never a guess at how long something takes: for that there is
 * `until`. The reason says what the time is for.
 */
export async function pause(ms: number, reason: string): Promise<void> {
  if (reason.trim() === '') throw new Error('a pause needs a reason');
  await sleep(ms);
}

/** Polls until `condition` gives something other than undefined or false, and gives that. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  options: { timeoutMs?: number; intervalMs?: number; failed?: () => string | undefined } = {},
): Promise<T> {
  const { timeoutMs = 30_000, intervalMs = 10 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    const failure = options.failed?.();
    if (failure !== undefined) throw new Error(`waiting for ${what}: ${failure}`);
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await sleep(intervalMs);
  }
}
