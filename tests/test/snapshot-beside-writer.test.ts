/** Small enough for every run; `npm run soak -- --snapshot` does the same with a gigabyte, and measures. */
import { expect, test } from 'vitest';
import { logGrewTooMuch, snapshotBesideWriter } from '../soak/snapshot.ts';

test(
  'a snapshot beside a writer at full speed is one state, and the log stays bounded',
  { timeout: 600_000 },
  async () => {
    let figures = await snapshotBesideWriter(24);
    // The machine may stop the writer for as long as the snapshot takes.
    for (let attempt = 1; figures.commitsDuring === 0 && attempt < 5; attempt += 1) {
      figures = await snapshotBesideWriter(24);
    }
    expect(figures.databaseSize).toBeGreaterThan(24 << 20);
    expect(figures.commitsDuring).toBeGreaterThan(0);
    expect(figures.txn).toBeGreaterThan(0);
    expect(logGrewTooMuch(figures)).toBe(false);
  },
);
