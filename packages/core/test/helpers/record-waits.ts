/** How long the code of this process asks to wait: what it does wait is longer on a busy machine. */
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/** Milliseconds of each wait by `node:timers/promises` from now until the test ends, as they come. */
export function recordWaits(): readonly number[] {
  const waits: number[] = [];
  const { setTimeout: wait } = timers;
  timers.setTimeout = (async (ms: number, ...rest: [undefined, object]) => {
    waits.push(ms);
    await wait(ms, ...rest);
  }) as typeof wait;
  syncBuiltinESMExports();
  onTestFinished(() => {
    timers.setTimeout = wait;
    syncBuiltinESMExports();
  });
  return waits;
}
