/**
 * Failures that users of Litestream have met, one test for each kind, by the number of the issue at
 * github.com/benbjohnson/litestream. Some have their test where the part in question is tested:
 *
 * - #875, pages beyond the end of a database that was vacuumed: `restore-model`, `store-model`
 * - #781, a database older than its replica: `db-restart`, `replica-first-contact`
 * - #900, a place in the log below its first frame: `db-open`, page sizes
 * - #847, overlapping files where a larger one reaches further: `restore-plan`
 * - #1307, a planned file that retention deletes in the midst of a restore: `restore-faults`
 * - #820, level 0 is kept for a time after it was compacted, or for good: `store-decisions`, `store-store`
 */
import { describe, expect, it } from 'vitest';
import { hasCode } from '../src/util/error.ts';
import { validateReplica } from '../src/verify/validation.ts';
import { Seeded } from '../src/testing/index.ts';
import { drivers, Lab } from './helpers/db-lab.ts';
import { LEVELS, Rig } from './helpers/store-rig.ts';
import { settle } from './store-support.ts';

const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
console.log(`upstream regressions: SEED=${seed}`);

const [level1, level2] = LEVELS as [(typeof LEVELS)[0], (typeof LEVELS)[0]];
const taken = (rig: Rig): number => rig.log.lines.filter((line) => line === 'INFO snapshot complete').length;

describe.each(drivers)('a live database with $name', (driver) => {
  it.each(['our own checkpoints', 'those of the application'])(
    '#896, #994, #997, #1197: an idle one gets no transactions and no snapshots from %s',
    async (whose) => {
      await using lab = new Lab(driver);
      const app = lab.app();
      app.exec('CREATE TABLE t (v)');
      let nowMs = Date.UTC(2026, 0, 1);
      const clock = { now: () => nowMs, monotonic: () => nowMs, schedule: () => () => undefined };
      const db = lab.db({ checkpointIntervalMs: 1000, minCheckpointPageN: 10, clock });
      await db.open();
      await db.sync();
      for (let i = 0; i < 300; i += 1) app.exec('INSERT INTO t VALUES (randomblob(500))');
      await db.sync();
      const { txid } = db.position;
      for (let round = 0; round < 30; round += 1) {
        nowMs += 2000;
        if (whose !== 'our own checkpoints') app.get(`PRAGMA wal_checkpoint(${['PASSIVE', 'TRUNCATE'][round % 2]})`);
        await db.sync();
      }
      expect(db.position.txid - txid).toBeLessThanOrEqual(1n);
      expect(lab.snapshots()).toEqual(['first sync']);
      await lab.verify();
    },
  );

  it('#927, #1165, #1198: no checkpoint makes a snapshot, whatever is written before, between and after', async () => {
    await using lab = new Lab(driver);
    const app = lab.app(['PRAGMA wal_autocheckpoint = 0']);
    app.exec('CREATE TABLE t (v)');
    const db = lab.db({ minCheckpointPageN: 5, truncatePageN: 60 });
    await db.open();
    const random = new Seeded(seed);
    const write = (): void => {
      for (let i = random.below(12); i > 0; i -= 1) app.exec('INSERT INTO t VALUES (randomblob(3000))');
    };
    for (let round = 0; round < 40; round += 1) {
      write();
      const work = random.next() < 0.7 ? db.sync() : db.checkpoint(random.next() < 0.5 ? 'PASSIVE' : 'TRUNCATE');
      // The application writes on while the work is under way.
      await Promise.resolve();
      write();
      await work;
    }
    await db.sync();
    expect(lab.logger.lines.some(({ message }) => message === 'checkpoint')).toBe(true);
    expect(lab.snapshots()).toEqual(['first sync']);
    await lab.verify();
  });
});

describe('the store', () => {
  it('#877: takes no snapshot and logs no failure before there is a database', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await rig.clock.advance(86_400_000);
    expect(await rig.files()).toEqual([]);
    expect(rig.log.lines.filter((line) => !line.startsWith('DEBUG'))).toEqual([]);
    await rig.store.close();
  });

  it('moves a file that is alone on its level up as it is, once, with its time', async () => {
    const rig = new Rig();
    await rig.commit();
    await rig.clock.advance(1000);
    const levels = [level1, level2];
    for (let round = 0; round < 3; round += 1) for (const level of levels) await rig.stored.compact(level);
    const [raw, first, second, ...more] = await rig.files();
    expect(more).toEqual([]);
    expect([first?.level, second?.level]).toEqual([1, 2]);
    for (const file of [first, second])
      expect(file).toMatchObject({ minTxid: 1n, maxTxid: 1n, timestamp: raw?.timestamp });
    expect(await rig.restored()).toBe(1n);
  });

  it('never deletes the only snapshot, however short its retention and however long nobody writes', async () => {
    const rig = new Rig({ snapshotRetentionMs: 1000, snapshotIntervalMs: 600_000, level0RetentionMs: 1000 });
    rig.store.add(rig.stored);
    for (let round = 0; round < 6; round += 1) {
      await rig.commit();
      await rig.clock.advance(round === 3 ? 30 * 86_400_000 : 700_000);
      await rig.stored.enforceSnapshotRetention();
      expect((await rig.ranges(9)).length).toBeGreaterThanOrEqual(1);
      expect(await rig.restored()).toBe(rig.txid);
    }
    // Two at most: what is past its retention goes when the next one is there.
    expect((await rig.ranges(9)).length).toBeLessThanOrEqual(2);
    await rig.store.close();
  });

  it('#689, #771, #1038, #1056: a time is restored from any level: before the first snapshot, and between compactions', async () => {
    const rig = new Rig({ level0RetentionMs: 1 });
    const times: Date[] = [];
    for (let i = 0; i < 10; i += 1) {
      await rig.clock.advance(20_000);
      times.push(new Date(rig.clock.now()));
      await rig.commit();
      if (i % 3 === 2) await rig.stored.compact(level1);
      if (i === 7) await rig.stored.snapshot();
    }
    const at = (index: number, afterMs = 0): Promise<bigint> =>
      rig.restored({ timestamp: new Date((times[index] as Date).getTime() + afterMs) });
    for (let i = 0; i < 10; i += 1) {
      expect(await at(i)).toBe(BigInt(i + 1));
      if (i < 9) expect(await at(i, 19_999)).toBe(BigInt(i + 1));
    }
    await rig.stored.enforceLevel0Retention();
    expect(await rig.ranges(0)).toEqual(['10-10']);
    // What is left are the ends of compacted files, 3, 6 and 9, the snapshot, 8, and the newest: of these the last one in time.
    const reached = [];
    for (let i = 2; i < 10; i += 1) reached.push(await at(i));
    expect(reached).toEqual([3n, 3n, 3n, 6n, 6n, 8n, 9n, 10n]);
    await expect(at(0)).rejects.toMatchObject({ code: 'TIMESTAMP_OUT_OF_RANGE' });
    await expect(at(1, 19_999)).rejects.toMatchObject({ code: 'TIMESTAMP_OUT_OF_RANGE' });
  });

  it.each([
    ['in one process', 1],
    ['by two processes that do not know of each other', 2],
  ])('compacts, takes snapshots and deletes %s in any order, and every kept boundary is right', async (_, count) => {
    for (let round = 0; round < 12; round += 1) {
      const random = new Seeded(seed + round);
      const rig = new Rig({ snapshotRetentionMs: 30_000, level0RetentionMs: 5000 });
      rig.pause = async () => {
        for (let turns = random.below(6); turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
      };
      const processes = [rig.stored, ...Array.from({ length: count - 1 }, () => rig.newStored())];
      await rig.commit();
      const oldest = async (): Promise<bigint> => (await Array.fromAsync(rig.client.ltxFiles(9)))[0]?.maxTxid ?? 0n;
      for (let step = 0; step < 15; step += 1) {
        const work = processes.flatMap((stored) => {
          stored.uploaded();
          return [
            () => stored.compact(level1),
            () => stored.compact(level2),
            () => stored.snapshot(),
            () => stored.enforceSnapshotRetention(),
            () => stored.enforceLevel0Retention(),
          ].filter(() => random.next() < 0.6);
        });
        work.push(() => rig.commit());
        work.sort(() => random.next() - 0.5);
        const results = await Promise.allSettled(work.map((task) => task()));
        for (const result of results) {
          // The other process deleted what this one was about to merge: it is merged already.
          if (result.status === 'fulfilled') continue;
          const isGone = hasCode(result.reason, 'NOT_FOUND') || hasCode(result.reason, 'OBJECT_CHANGED');
          if (count === 1 || !isGone) throw result.reason;
        }
        await rig.clock.advance(random.below(12_000));
        const where = `SEED=${seed + round}, step ${step}`;
        expect(await rig.restored(), where).toBe(rig.txid);
        const base = await oldest();
        for (const { maxTxid } of await rig.files()) {
          if (maxTxid >= base && base > 0n) expect(await rig.restored({ txid: maxTxid }), where).toBe(maxTxid);
        }
      }
      const { faults } = await validateReplica(rig.client, { sample: 'all' });
      expect(
        faults.filter(({ kind }) => count === 1 || kind !== 'overlap'),
        `SEED=${seed + round}`,
      ).toEqual([]);
      expect(rig.log.lines.filter((line) => line.startsWith('ERROR'))).toEqual([]);
    }
  });

  it('closed at any call of a compaction leaves nothing half-written, and the next process goes on', async () => {
    for (let stopAt = 1, ended = false; !ended; stopAt += 1) {
      const rig = new Rig();
      rig.store.add(rig.stored);
      await settle();
      for (let i = 0; i < 4; i += 1) await rig.commit();
      let closing: Promise<void> | undefined;
      let calls = 0;
      rig.pause = () => {
        calls += 1;
        if (calls === stopAt) closing = rig.store.close();
      };
      await rig.clock.advance(10_000);
      ended = closing === undefined;
      await (closing ?? rig.store.close());
      expect(stopAt).toBeLessThan(100);
      calls = Number.MIN_SAFE_INTEGER;
      const before = await rig.ranges(1);
      expect([[], ['1-4']]).toContainEqual(before);
      rig.calls.length = 0;
      await rig.clock.advance(60_000);
      expect(rig.calls).toEqual([]);
      expect((await validateReplica(rig.client, { sample: 'all' })).faults).toEqual([]);
      const next = rig.newStore();
      next.add(rig.newStored());
      await rig.clock.advance(20_000);
      expect(await rig.ranges(1)).toEqual(['1-4']);
      expect(await rig.restored()).toBe(4n);
      await next.close();
      expect(taken(rig)).toBe(1);
    }
  });
});
