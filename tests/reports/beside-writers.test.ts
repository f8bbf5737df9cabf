/** Reports of Litestream (Go): restores that are corrupt because of what the application did meanwhile. See docs/reports/public-reports.md. */
import { createRequire } from 'node:module';
import { cp, mkdir } from 'node:fs/promises';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { betterSqlite3, Litestream, nodeSqlite } from '@litestream/core';
import type { SqliteDriver } from '@litestream/core';
import { describe, expect, test } from 'vitest';
import { verifyChain } from '../support/chain.ts';
import { ChainWriter } from '../support/chain-writer.ts';
import type { Child } from '../support/child.ts';
import { fileUrl } from '../support/programs.ts';
import { Random } from '../support/random.ts';
import { levelFiles, levelMaxTxid } from '../support/replica-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { pause, until } from '../support/wait.ts';
import { failing, lines, Place, seed } from './place.ts';

console.log(`reports beside writers: SEED=${seed}`);

type Library = Parameters<typeof betterSqlite3>[0];

const drivers: readonly (readonly [string, SqliteDriver])[] = [
  ['node:sqlite', nodeSqlite],
  ['better-sqlite3', betterSqlite3(createRequire(import.meta.url)('better-sqlite3') as Library)],
];

describe('reports', { timeout: 300_000 }, () => {
  test.each(drivers)(
    '#1337: a commit between the last read of the WAL and the checkpoint is in the replica, with %s',
    async (_, driver) => {
      await using folder = await temporaryFolder('report-1337');
      const place = new Place(folder.path);
      // Litestream makes all checkpoints, as often as it can, beside a busy writer.
      await using app = place.writer({ calm: true, autoCheckpointPageCount: 0, delayMs: 1 });
      await until('commits', async () => (await place.committed()) > 20, failing(app));
      await using litestream = new Litestream({ driver });
      let checkpoints = 0;
      litestream.on('checkpoint', ({ busy }) => void (busy || (checkpoints += 1)));
      const database = await litestream.replicate(place.database, fileUrl(place.replica), {
        minCheckpointPageN: 4,
        // Fewer files than a busy disk takes: otherwise each acknowledgement waits for a longer backlog.
        syncIntervalMs: 100,
        monitorIntervalMs: 10,
      });
      await database.replicated();
      for (let round = 1; round <= 3; round += 1) {
        await until('checkpoints', () => checkpoints >= round * 10, failing(app));
        const committed = await place.committed();
        await database.replicated();
        expect((await place.restored()).transactionCount).toBeGreaterThanOrEqual(committed);
      }
      await app.stop();
      await litestream.stop();
      expect(await place.restored()).toEqual(verifyChain(place.database));
    },
  );

  test('#1164: each snapshot that is made beside checkpoints and commits is one state, alone and with what follows', async () => {
    await using folder = await temporaryFolder('report-1164');
    const place = new Place(folder.path);
    {
      // Big enough that a snapshot takes its time.
      using filler = new ChainWriter(place.database, new Random(seed));
      for (let i = 0; i < 10; i += 1) filler.transaction(1, { add: 300, size: 2000 });
    }
    await using app = place.writer({ delayMs: 2 });
    await using daemon = await place.replicate({
      snapshotInterval: '1s',
      levels: ['1s', '2s'],
      checkpointInterval: '100ms',
      minCheckpointPageCount: 10,
    });
    const snapshots = new Set<string>();
    let proven = 0;
    await until(
      'four snapshots',
      async () => {
        for (const file of await levelFiles(place.replica, 9)) {
          if (snapshots.has(file.name)) continue;
          snapshots.add(file.name);
          // The file alone.
          const alone = join(folder.path, `alone-${snapshots.size}`);
          await mkdir(join(alone, 'ltx', '9'), { recursive: true });
          await cp(file.path, join(alone, 'ltx', '9', file.name), { preserveTimestamps: true });
          const state = await place.restored({ from: alone, txid: file.maxTxid });
          expect(state.transactionCount).toBeGreaterThan(0);
          await place.restored();
          proven += 1;
        }
        return proven >= 4;
      },
      // Each of them is restored twice meanwhile.
      { ...failing(both(daemon, app)), timeoutMs: 250_000 },
    );
    await app.stop();
    await daemon.stop();
    expect(lines(daemon.output, 'ERROR')).toEqual([]);
    expect(await place.restored()).toEqual(verifyChain(place.database));
  });

  test('#1309: a first file that takes long beside commits and checkpoints restores to one state', async () => {
    await using folder = await temporaryFolder('report-1309');
    let during = 0;
    // The machine may stop this process until the daemon has made its first file.
    for (let attempt = 1; during <= 100 && attempt <= 10; attempt += 1) {
      const path = join(folder.path, String(attempt));
      await mkdir(path);
      during = await slowFirstFile(new Place(path));
    }
    expect(during).toBeGreaterThan(100);
  });

  test('#1199: bursts of commits and checkpoints make no whole files at level 0, and each level is compacted', async () => {
    await using folder = await temporaryFolder('report-1199');
    const place = new Place(folder.path);
    using app = new ChainWriter(place.database, new Random(seed), { autoCheckpointPageCount: 0 });
    for (let i = 0; i < 20; i += 1) app.transaction(1, { add: 100, size: 2000 });
    await using daemon = await place.replicate({
      levels: ['1s', '2s', '3s'],
      checkpointInterval: '100ms',
      minCheckpointPageCount: 10,
    });
    const whole = (await levelFiles(place.replica, 0))[0]?.size ?? 0;
    const sizes = new Map<string, number>();
    while (sizes.size <= 10 || (await levelFiles(place.replica, 3)).length < 2) {
      // A burst, then nothing. The next burst waits for the file of this one: many bursts together would make one large file.
      const before = await levelMaxTxid(place.replica);
      for (let i = 0; i < 60; i += 1) app.transaction(1, { add: 1, change: 1, remove: 1 });
      await until('the file of a burst', async () => (await levelMaxTxid(place.replica)) > before, failing(daemon));
      await pause(150, 'the application is idle between two bursts');
      for (const { name, size, minTxid } of await levelFiles(place.replica, 0)) if (minTxid > 1n) sizes.set(name, size);
    }
    await daemon.stop();
    expect(lines(daemon.output, 'ERROR')).toEqual([]);
    expect(lines(daemon.output, 'WARN')).toEqual([]);
    expect(sizes.size).toBeGreaterThan(10);
    expect(Math.max(...sizes.values())).toBeLessThan(whole / 2);
    expect(await place.restored()).toEqual(verifyChain(place.database));
  });
});

/**
 * Has a daemon make its first file slowly, beside an application. Proves it, and what follows, and resolves to how many commits
 * there were meanwhile: more than 100, unless the file was there before the daemon could be made slow.
 */
async function slowFirstFile(place: Place): Promise<number> {
  {
    using filler = new ChainWriter(place.database, new Random(seed));
    for (let i = 0; i < 20; i += 1) filler.transaction(1, { add: 300, size: 2000 });
  }
  await using app = place.writer({ delayMs: 2 });
  await until('a first commit', async () => (await place.committed()) > 20, failing(app));
  await using daemon = await place.start();
  let during = 0;
  try {
    await until(
      'the daemon to open the database',
      () => statSync(place.meta, { throwIfNoEntry: false }),
      failing(daemon),
    );
    const from = await place.committed();
    // A slow disk, as far as the daemon can tell: it runs for 2 ms in 100.
    while ((await levelFiles(place.meta, 0)).length === 0 && during < 1000) {
      daemon.signal('SIGSTOP');
      await pause(100, 'the application runs, the daemon does not');
      daemon.signal('SIGCONT');
      await pause(4, 'the daemon does a little of its work');
      during = (await place.committed()) - from;
    }
  } finally {
    daemon.signal('SIGCONT');
  }
  await until(
    'the first file on the replica',
    async () => (await levelFiles(place.replica, 0)).length > 0,
    failing(daemon),
  );
  const first = (await levelFiles(place.replica, 0))[0];
  const state = await place.restored({ txid: first?.maxTxid ?? 0n });
  expect(state.transactionCount).toBeGreaterThanOrEqual(20);
  await app.stop();
  await daemon.stop();
  expect(lines(daemon.output, 'ERROR')).toEqual([]);
  expect(await place.restored()).toEqual(verifyChain(place.database));
  return during;
}

/** Has one of the two ended? */
function both(daemon: Child, app: Child): Child {
  return daemon.exit === undefined ? app : daemon;
}
