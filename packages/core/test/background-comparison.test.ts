import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { silentLogger } from '../src/util/logger.ts';
import { BackgroundComparison } from '../src/db/snapshot/background-comparison.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** How many comparisons a database that is synced each second gets within an hour, if each comparison takes so long. */
async function countInAnHour(tookMs: number, compared: { isDue: boolean; fails?: boolean }): Promise<number> {
  let count = 0;
  let ends = { atMs: 0, end: (): void => undefined };
  const comparison = new BackgroundComparison({
    logger: silentLogger,
    compare: async () => {
      count += 1;
      const { promise, resolve } = Promise.withResolvers<void>();
      ends = { atMs: performance.now() + tookMs, end: resolve };
      await promise;
      if (compared.fails === true) throw new Error('closed');
    },
    isDue: () => count === 0 || compared.isDue,
  });
  for (let second = 0; second < 3600; second++) {
    comparison.request();
    await vi.advanceTimersByTimeAsync(1000);
    if (performance.now() >= ends.atMs) ends.end();
  }
  return count;
}

test('compares once if nothing is left to prove', async () => {
  expect(await countInAnHour(5000, { isDue: false })).toBe(1);
});

test.each([false, true])('reads a tenth of the time if something is left to prove (failure: %s)', async (fails) => {
  expect(await countInAnHour(100_000, { isDue: true, fails })).toBeLessThanOrEqual(4);
});

test.each([false, true])('begins once a minute if something is left to prove (failure: %s)', async (fails) => {
  const count = await countInAnHour(100, { isDue: true, fails });
  expect(count).toBeGreaterThan(55);
  expect(count).toBeLessThanOrEqual(60);
});
