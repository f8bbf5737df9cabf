/** Small enough for every run; `npm run soak -- --large-commit` does the same with 1.5 GB, and measures. */
import { expect, test } from 'vitest';
import { largeCommit } from '../soak/large-commit.ts';

test('a large commit on a slow disk keeps no writer and no other database waiting', { timeout: 600_000 }, async () => {
  // Behind the write lock, or on the event loop, one of the two would last as long as the checkpoint in each attempt. A machine that
  // stops a process for as long does so in one of them.
  let waiting: { readonly waits: boolean; readonly stalls: boolean } | undefined;
  for (let attempt = 1; attempt <= 3 && (waiting === undefined || waiting.waits || waiting.stalls); attempt += 1) {
    const figures = await largeCommit({ sizeMib: 48, mibPerSecond: 16 });
    if (figures === undefined) {
      console.log('large commit: SKIPPED, this user or system cannot make a slow disk');
      return;
    }
    console.log(JSON.stringify(figures));
    expect(figures.commits).toBeGreaterThan(10);
    const { waitMs, stallMs, checkpointMs } = figures;
    waiting = { waits: waitMs >= checkpointMs / 2, stalls: stallMs >= checkpointMs / 2 };
  }
  expect(waiting).toEqual({ waits: false, stalls: false });
});
