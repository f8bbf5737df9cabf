/** A report of Litestream (Go): commits that do not change the size of the WAL. See docs/reports/public-reports.md. */
import { openSync, closeSync, readSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ChainWriter } from '../support/chain-writer.ts';
import { Random } from '../support/random.ts';
import { levelMaxTxid } from '../support/replica-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/wait.ts';
import { failing, lines, Place, seed } from './place.ts';

console.log(`report on an unchanged WAL: SEED=${seed}`);

/** What Litestream (Go) compared: the size and the header of the WAL. */
function looksOf(path: string): { readonly size: number; readonly header: string } {
  const header = Buffer.alloc(32);
  const descriptor = openSync(path, 'r');
  readSync(descriptor, header, 0, 32, 0);
  closeSync(descriptor);
  return { size: statSync(path).size, header: header.toString('hex') };
}

describe('reports', { timeout: 300_000 }, () => {
  test('#1037: commits that leave size and header of the WAL unchanged are replicated', async () => {
    await using folder = await temporaryFolder('report-1037');
    const place = new Place(folder.path);
    using app = new ChainWriter(place.database, new Random(seed), { autoCheckpointPageCount: 0 });
    // A WAL that is long, and has restarted: its size stays.
    for (let i = 0; i < 10; i += 1) app.transaction(1, { add: 50, size: 2000 });
    const log = `${place.database}-wal`;
    const { size, header } = looksOf(log);
    app.checkpoint('PASSIVE', 1000);
    app.transaction(1);
    expect(looksOf(log).size).toBe(size);
    expect(looksOf(log).header).not.toBe(header);
    // Litestream makes no checkpoint, after which the WAL would restart once more.
    await using daemon = await place.replicate({ monitorInterval: '100ms', checkpointInterval: '0s' });
    for (let round = 0; round < 8; round += 1) {
      const before = looksOf(log);
      const uploaded = await levelMaxTxid(place.replica);
      app.transaction(1);
      expect(looksOf(log)).toEqual(before);
      await until('an upload', async () => (await levelMaxTxid(place.replica)) > uploaded, failing(daemon));
      // By this commit, whatever else was uploaded.
      const isThere = async (): Promise<boolean> => (await place.restored()).transactionCount === app.transactionCount;
      await until('the commit in a restore', isThere, failing(daemon));
    }
    await daemon.stop();
    expect(lines(daemon.output, 'ERROR')).toEqual([]);
  });
});
