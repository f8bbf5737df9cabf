import { setTimeout as sleep } from 'node:timers/promises';

/** Long, since a busy machine is slow and only a run that fails gets there; shorter than what a test may take. */
const TIMEOUT_MS = 60_000;

const ATTEMPTS_MAX = 5;

/** A delay that is part of what a test is about, and stands for nothing that could be waited for; `why` says what it is. */
export async function pause(ms: number, why: string): Promise<void> {
  if (why === '') throw new Error('a pause needs a reason');
  await sleep(ms);
}

/**
 * Runs a scenario that depends on a limit of the product: how long a lock may be held, a lease lasts, or an error stays unreported.
 * If the scenario fails after more than `limitMs`, the machine has paused it past the limit, and the failure proves nothing: it runs
 * again.
 */
export async function inTime<T>(limitMs: number, scenario: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const startMs = performance.now();
    try {
      return await scenario();
    } catch (error) {
      const tookMs = performance.now() - startMs;
      if (tookMs <= limitMs || attempt === ATTEMPTS_MAX) throw error;
      console.warn(
        `failed after ${Math.round(tookMs)} ms, which is more than the limit of ${limitMs} ms; trying again:`,
        error,
      );
    }
  }
}

/**
 * Polls until `condition` gives something other than undefined or false, and gives that. To wait for something is to rely
 * on it: it has to stay true once it is, and what is asserted afterwards has to follow from it.
 */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  options: { timeoutMs?: number; intervalMs?: number; failed?: () => string | undefined } = {},
): Promise<T> {
  const { timeoutMs = TIMEOUT_MS, intervalMs = 10 } = options;
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
