/** Small enough for every run; `npm run soak -- --large-commit` does the same with 1.5 GB, and measures. */
import { expect, test } from 'vitest';
import { largeCommit } from '../soak/large-commit.ts';

test('a large commit on a slow disk keeps no writer and no other database waiting', { timeout: 600_000 }, async () => {
  const figures = await largeCommit({ sizeMib: 48, mibPerSecond: 16 });
  if (figures === undefined) {
    console.log('large commit: SKIPPED, this user or system cannot make a slow disk');
    return;
  }
  console.log(JSON.stringify(figures));
  expect(figures.commits).toBeGreaterThan(10);
  // Behind the write lock, or on the event loop, both would last as long as the checkpoint.
  expect(figures.waitMs).toBeLessThan(figures.checkpointMs / 2);
  expect(figures.stallMs).toBeLessThan(figures.checkpointMs / 2);
});
