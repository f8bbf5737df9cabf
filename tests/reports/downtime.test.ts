/** Reports of Litestream (Go): what happens while it does not run, and after a restore. See docs/reports/public-reports.md. */
import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { ChainWriter } from '../support/chain-writer.ts';
import { Random } from '../support/random.ts';
import { giveBack, makeRemovable, takeAway } from '../support/removable.ts';
import { levelFiles, levelMaxTxid, replicaFiles } from '../support/replica-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/wait.ts';
import { failing, lines, Place, program, seed } from './place.ts';

console.log(`reports on downtime: SEED=${seed}`);

describe('reports', { timeout: 300_000 }, () => {
  test.each(['FULL', 'RESTART', 'TRUNCATE'] as const)(
    '#752: killed, commits and a checkpoint (%s) meanwhile, and restarted: the newest state and the older ones restore',
    async (mode) => {
      await using folder = await temporaryFolder('report-752');
      const place = new Place(folder.path);
      using app = new ChainWriter(place.database, new Random(seed));
      for (let i = 0; i < 30; i += 1) app.transaction(3, { add: 40, size: 1500 });
      await using first = await place.replicate();
      const commit = async (): Promise<void> => {
        const before = await levelMaxTxid(place.replica);
        app.transaction(2, { add: 3, change: 2, remove: 1 });
        await until('an upload', async () => (await levelMaxTxid(place.replica)) > before, failing(first));
      };
      for (let i = 0; i < 5; i += 1) await commit();
      await first.kill();
      const before = await levelMaxTxid(place.replica);
      const then = await place.restored({ txid: before });
      // The WAL restarts several times, with pages that no level-0 file has.
      for (let round = 0; round < 3; round += 1) {
        for (let i = 0; i < 10; i += 1) app.transaction(2, { add: 20, change: 5, remove: 5, size: 1500 });
        app.checkpoint(mode, 5000);
      }
      for (let i = 0; i < 3; i += 1) app.transaction(1, { add: 3 });
      await using daemon = await place.start();
      await until('an upload', async () => (await levelMaxTxid(place.replica)) > before, failing(daemon));
      app.transaction(1, { change: 2 });
      await daemon.stop();
      expect(lines(daemon.output, 'ERROR')).toEqual([]);
      expect((await place.restored()).transactionCount).toBe(app.transactionCount);
      expect(await place.restored({ txid: before })).toEqual(then);
    },
  );

  test('#393: a database that was restored continues on its replica without being uploaded again', async () => {
    await using folder = await temporaryFolder('report-393');
    const place = new Place(folder.path);
    {
      using app = new ChainWriter(place.database, new Random(seed));
      for (let i = 0; i < 40; i += 1) app.transaction(3, { add: 60, size: 2000 });
      await using daemon = await place.replicate();
      // Then none is due after the restore.
      await until('a snapshot', async () => (await levelMaxTxid(place.replica, 9)) > 0n, failing(daemon));
      app.transaction(1, { change: 2 });
      await daemon.stop();
    }
    const size = (await replicaFiles(place.replica)).reduce((sum, file) => sum + file.size, 0);
    expect(size).toBeGreaterThan(1 << 20);
    for (const path of ['', '-wal', '-shm']) await rm(`${place.database}${path}`, { force: true });
    await rm(place.meta, { recursive: true });
    await program.restore(place.replica, place.database);
    const before = new Set((await replicaFiles(place.replica)).map(({ name, level }) => `${level}/${name}`));
    using app = new ChainWriter(place.database, new Random(seed));
    const end = await levelMaxTxid(place.replica);
    await using daemon = await place.start();
    app.transaction(1, { add: 1 });
    await until('an upload', async () => (await levelMaxTxid(place.replica)) > end, failing(daemon));
    app.transaction(1, { add: 1 });
    await daemon.stop();
    expect((await place.restored()).transactionCount).toBe(app.transactionCount);
    // A compaction that is due merges what the replica has.
    const isUploaded = (level: number): boolean => level === 0 || level === 9;
    const fresh = (await replicaFiles(place.replica)).filter(
      ({ level, name }) => isUploaded(level) && !before.has(`${level}/${name}`),
    );
    const uploaded = fresh.reduce((sum, file) => sum + file.size, 0);
    expect(uploaded, JSON.stringify(fresh.map(({ name, size: bytes }) => [name, bytes]))).toBeLessThan(size / 10);
    expect(lines(daemon.output, 'ERROR')).toEqual([]);
  });

  test('#1458: a local file that is missing here and on the replica does not stop replication', async () => {
    await using folder = await temporaryFolder('report-1458');
    const place = new Place(folder.path);
    using app = new ChainWriter(place.database, new Random(seed));
    app.transaction(3, { add: 20 });
    makeRemovable(place.replica);
    await using daemon = await place.replicate();
    // The replica is away, so that there are local files that it lacks.
    takeAway(place.replica);
    const before = await levelMaxTxid(`${place.replica}.away`);
    for (let i = 0; i < 4; i += 1) {
      const local = await levelMaxTxid(place.meta);
      app.transaction(1, { add: 2, change: 1 });
      await until('a local file', async () => (await levelMaxTxid(place.meta)) > local, failing(daemon));
    }
    await daemon.kill();
    giveBack(place.replica);
    expect(await levelMaxTxid(place.replica)).toBe(before);
    const lost = (await levelFiles(place.meta, 0)).find(({ maxTxid }) => maxTxid === before + 2n);
    await rm(lost?.path ?? 'there are too few');
    await using again = await place.start();
    const end = async (): Promise<bigint> => {
      const [file, snapshot] = await Promise.all([levelMaxTxid(place.replica), levelMaxTxid(place.replica, 9)]);
      return file > snapshot ? file : snapshot;
    };
    const reached = await levelMaxTxid(place.meta);
    await until('the replica to catch up', async () => (await end()) >= reached, failing(again));
    const caughtUp = await end();
    app.transaction(1, { add: 1 });
    await until('an upload', async () => (await end()) > caughtUp, failing(again));
    await again.stop();
    expect(lines(again.output, 'ERROR')).toEqual([]);
    expect((await place.restored()).transactionCount).toBe(app.transactionCount);
  });
});
