/** The store over replicas in memory and a fake clock: what it does when, what it never does, and what it costs. */
import { describe, expect, it } from 'vitest';
import type { LtxFileInfo, Op } from '../src/storage/contract/contract.ts';
import { LitestreamError } from '../src/util/error.ts';
import type { LocalFiles } from '../src/compaction/compactor.ts';
import { Rig } from './helpers/store-rig.ts';
import { restorableEnds } from './helpers/store-world.ts';
import { settle, store } from './store-support.ts';

describe('store', () => {
  it('snapshots at once when there is none, compacts on boundaries, and deletes what level 1 holds', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await settle();
    await rig.commit();
    expect(await rig.ranges(9)).toEqual(['1-1']);
    for (let i = 0; i < 4; i += 1) await rig.commit();
    await rig.clock.advance(10_000);
    expect(await rig.ranges(1)).toEqual(['1-5']);
    for (let i = 0; i < 3; i += 1) await rig.commit();
    await rig.clock.advance(10_000);
    expect(await rig.ranges(1)).toEqual(['1-5', '6-8']);
    expect(await rig.ranges(0)).toHaveLength(8);
    await rig.clock.advance(60_000);
    expect(await rig.ranges(0)).toEqual(['8-8']);
    expect(await rig.ranges(2)).toEqual(['1-5', '6-8']);
    expect(await rig.ranges(9)).toEqual(['1-1']);
    expect(rig.log.lines.filter((line) => !line.startsWith('INFO') && !line.startsWith('DEBUG'))).toEqual([]);
    await rig.store.close();
  });

  it('runs one restore drill at a time, and takes snapshots meanwhile', async () => {
    const rig = new Rig();
    const store = rig.newStore({ drillIntervalMs: 1000 });
    let running = 0;
    const others = [rig.newStored(), rig.newStored(), rig.newStored()];
    for (const replica of others) {
      Object.defineProperty(replica, 'isDrillPending', { value: true });
      replica.drill = async (op?: Op) => {
        running += 1;
        return await new Promise((_resolve, reject) =>
          op?.signal?.addEventListener('abort', () => {
            running -= 1;
            reject(new Error('aborted'));
          }),
        );
      };
      store.add(replica);
    }
    await rig.clock.advance(5000);
    expect(running).toBe(1);
    store.add(rig.stored);
    await settle();
    await rig.commit();
    expect(await rig.ranges(9)).toEqual(['1-1']);
    await store.close();
    expect(running).toBe(0);
  });

  it.each([
    ['soon, if the reason may pass', true, 3],
    ['at its next turn, if it will not pass', false, 1],
  ])('repeats a restore drill that failed %s', async (_when, retryable, count) => {
    const rig = new Rig();
    const store = rig.newStore({ drillIntervalMs: 86_400_000, levels: [] });
    const made = { drills: 0 };
    Object.defineProperty(rig.stored, 'isDrillPending', { value: true });
    rig.stored.drill = async () => {
      made.drills += 1;
      if (made.drills < 3) throw new LitestreamError('no answer', { code: 'NETWORK', retryable });
      return await Promise.resolve(undefined);
    };
    store.add(rig.stored);
    while (made.drills === 0) await rig.clock.advance(600_000);
    await rig.clock.advance(3_600_000);
    expect(made.drills).toBe(count);
    await store.close();
    expect(rig.clock.pending).toBe(0);
  });

  it('takes the first snapshot though a file that is none lies where snapshots do', async () => {
    const rig = new Rig();
    await store(rig.client, { level: 9, minTxid: 5n, maxTxid: 9n, pages: new Map([[1, 1]]) });
    rig.store.add(rig.stored);
    await settle();
    await rig.commit();
    await rig.clock.advance(60_000);
    expect(await rig.ranges(9)).toEqual(['1-1', '5-9']);
    await rig.store.close();
  });

  it('leaves a replica alone that nothing reaches, and goes on with the first upload', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await rig.commit();
    rig.down = true;
    const calls = rig.calls.length;
    rig.position.txid += 1n;
    rig.stored.uploaded();
    await rig.clock.advance(3_600_000);
    expect(rig.calls).toHaveLength(calls);
    rig.down = false;
    rig.position.txid -= 1n;
    await rig.commit();
    await rig.clock.advance(60_000);
    expect(await rig.ranges(1)).toEqual(['1-1', '2-2']);
    await rig.store.close();
  });

  it('costs nothing once a database is quiet: no call, no timer', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await settle();
    await rig.commit();
    await rig.commit();
    await rig.clock.advance(1_200_000);
    rig.calls.length = 0;
    expect(rig.clock.pending).toBe(0);
    await rig.clock.advance(86_400_000);
    expect(rig.calls).toEqual([]);
    await rig.commit();
    expect(rig.clock.pending).toBeGreaterThan(0);
    await rig.store.close();
  });

  it('takes one snapshot an interval while there are commits, none while there are not', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await settle();
    await rig.commit();
    for (let minute = 0; minute < 60; minute += 1) {
      if (minute < 30) await rig.commit();
      await rig.clock.advance(60_000);
    }
    // One at first, one at each boundary of the half hour in which there were commits.
    const taken = rig.log.lines.filter((line) => line === 'INFO snapshot complete').length;
    expect(taken).toBeGreaterThanOrEqual(3);
    expect(taken).toBeLessThanOrEqual(5);
    expect((await rig.ranges(9)).at(-1)).toBe(`1-${rig.txid}`);
    await rig.store.close();
  });

  it('keeps every promised restore while it deletes: a base, and an unbroken chain from it to the end', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await settle();
    for (let minute = 0; minute < 90; minute += 1) {
      await rig.commit();
      await rig.commit();
      await rig.clock.advance(60_000);
      const bases = await Array.fromAsync(rig.client.ltxFiles(9));
      const oldest = bases[0]?.maxTxid ?? 0n;
      let reached = oldest;
      const levels = await Promise.all([0, 1, 2].map((level) => Array.fromAsync(rig.client.ltxFiles(level))));
      for (;;) {
        const next = levels.flat().filter((file) => file.minTxid <= reached + 1n && file.maxTxid > reached);
        if (next.length === 0) break;
        reached = next.reduce((max, file) => (file.maxTxid > max ? file.maxTxid : max), reached);
      }
      expect(reached).toBe(rig.txid);
    }
    expect((await rig.ranges(9)).length).toBeLessThanOrEqual(4);
    expect((await rig.ranges(2)).length).toBeLessThanOrEqual(45);
    await rig.store.close();
  });

  it.each([true, false])(
    'with retention enabled: %s, deletes remotely or not at all, and locally always',
    async (retentionEnabled) => {
      const released: bigint[] = [];
      const local: LocalFiles = {
        path: () => undefined,
        release({ txid }) {
          released.push(txid);
          return { deleted: 1, left: 1 };
        },
      };
      const rig = new Rig({ retentionEnabled, local });
      rig.store.add(rig.stored);
      await settle();
      for (let i = 0; i < 20; i += 1) {
        await rig.commit();
        await rig.clock.advance(300_000);
      }
      const deletedFrom = new Set(
        rig.calls.flatMap((call) => /^deleteLtxFiles ltx\/(\d)/.exec(call)?.[1] ?? []).map(Number),
      );
      // Level 0 by its age, snapshots by theirs, and the levels between by transaction.
      expect(deletedFrom).toEqual(new Set(retentionEnabled ? [0, 1, 2, 9] : []));
      if (!retentionEnabled) {
        expect(await rig.ranges(0)).toHaveLength(20);
        expect((await rig.ranges(9)).length).toBeGreaterThan(8);
      }
      expect(released.at(-1)).toBe(20n);
      const warning = 'WARN retention disabled; cloud provider lifecycle policies must handle retention';
      expect(rig.log.lines.includes(warning)).toBe(!retentionEnabled);
      await rig.store.close();
    },
  );

  it('keeps level 0 for good when its retention is 0', async () => {
    const rig = new Rig({ level0RetentionMs: 0 });
    rig.store.add(rig.stored);
    await settle();
    for (let i = 0; i < 5; i += 1) {
      await rig.commit();
      await rig.clock.advance(60_000);
    }
    expect(await rig.ranges(0)).toHaveLength(5);
    await rig.store.close();
  });

  it.each([-3_600_000, 3_600_000])('goes on at once after the clock was set by %i ms', async (deltaMs) => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    for (let i = 0; i < 5; i += 1) {
      await rig.commit();
      await rig.clock.advance(60_000);
    }
    const before = rig.txid;
    rig.clock.set(deltaMs);
    for (let i = 0; i < 20; i += 1) {
      await rig.commit();
      await rig.clock.advance(60_000);
    }
    const compacted = (await Array.fromAsync(rig.client.ltxFiles(1))).at(-1)?.maxTxid ?? 0n;
    expect(compacted).toBeGreaterThanOrEqual(rig.txid - 1n);
    expect((await Array.fromAsync(rig.client.ltxFiles(9))).at(-1)?.maxTxid).toBeGreaterThan(before);
    expect(await rig.restored()).toBe(rig.txid);
    // A process that starts before the times of the files does not storm either.
    await rig.store.close();
    const next = rig.newStore();
    next.add(rig.newStored());
    rig.calls.length = 0;
    await rig.commit();
    await rig.clock.advance(60_000);
    expect(rig.calls.filter((call) => call.includes('writeLtxFile')).length).toBeLessThan(16);
    await next.close();
  });

  it('keeps what its retention promises while the clock is years ahead, and deletes what is old once it is set right', async () => {
    const yearsMs = 10 * 365 * 86_400_000;
    const rig = new Rig();
    rig.store.add(rig.stored);
    const live = async (minutes: number): Promise<void> => {
      for (let minute = 0; minute < minutes; minute += 1) {
        await rig.commit();
        await rig.clock.advance(60_000);
      }
    };
    const restorable = async (): Promise<readonly bigint[]> => restorableEnds(await rig.files());
    await live(60);
    // Twenty minutes are promised, from a snapshot on: none goes that is younger at the end of the next five.
    const startMs = rig.clock.now() - 15 * 60_000;
    const kept = (await Array.fromAsync(rig.client.ltxFiles(9))).find(({ timestamp }) => +timestamp >= startMs);
    const base = kept?.maxTxid ?? 0n;
    const before = (await restorable()).filter((txid) => txid >= base);
    rig.clock.set(yearsMs);
    await live(5);
    expect(await rig.ranges(9)).toContain(`1-${base}`);
    expect(await rig.ranges(9)).toHaveLength(2); // one was taken, so it was looked what is old
    expect((await restorable()).filter((txid) => txid >= base)).toEqual(expect.arrayContaining(before));

    rig.clock.set(-yearsMs);
    await live(60);
    expect((await rig.ranges(0)).length).toBeLessThan(5);
    expect((await rig.ranges(9)).length).toBeLessThan(6);
    expect((await rig.ranges(2)).length).toBeLessThan(45);
    expect(await rig.restored()).toBe(rig.txid);

    // Nor does a process that begins with such files keep them until that year.
    await rig.store.close();
    const next = rig.newStore();
    next.add(rig.newStored());
    const local = await rig.ranges(0);
    await live(60);
    expect((await rig.ranges(0)).some((range) => local.includes(range))).toBe(false);
    expect((await rig.ranges(9)).length).toBeLessThan(6);
    await next.close();
  });

  it('logs a failure, tries again at the next boundary, and goes on', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await settle();
    await rig.commit();
    await rig.commit();
    rig.failing = true;
    await rig.clock.advance(30_000);
    expect(rig.log.lines).toContain('ERROR compaction failed');
    rig.failing = false;
    await rig.clock.advance(20_000);
    expect(await rig.ranges(1)).toEqual(['1-2']);
    await rig.store.close();
  });

  it('merges what a late listing did not show at the next boundary, without another commit', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await settle();
    for (let i = 0; i < 3; i += 1) await rig.commit();
    const hidden = [...rig.client.store.entries].filter(([key]) => /ltx\/0\/.*-0+3\.ltx$/.test(key));
    expect(hidden).toHaveLength(1);
    for (const [key] of hidden) rig.client.store.entries.delete(key);
    await rig.clock.advance(10_000);
    expect(await rig.ranges(1)).toEqual(['1-2']);
    for (const [key, { bytes, time }] of hidden) rig.client.store.put(key, bytes, time);
    await rig.clock.advance(10_000);
    expect(await rig.ranges(1)).toEqual(['1-2', '3-3']);
    // And once it is never shown, that is all: a quiet database costs nothing.
    await rig.commit();
    for (const key of rig.client.store.entries.keys()) {
      if (/ltx\/0\/.*-0+4\.ltx$/.test(key)) rig.client.store.entries.delete(key);
    }
    await rig.clock.advance(3_600_000);
    rig.calls.length = 0;
    await rig.clock.advance(3_600_000);
    expect(rig.calls).toEqual([]);
    await rig.store.close();
  });

  it('heals a gap with one warning and a snapshot', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await settle();
    for (let i = 0; i < 3; i += 1) await rig.commit();
    const [, second] = await Array.fromAsync(rig.client.ltxFiles(0));
    await rig.client.deleteLtxFiles([second as LtxFileInfo]);
    await rig.clock.advance(10_000);
    expect(rig.log.lines.filter((line) => line.startsWith('WARN replica has a gap'))).toHaveLength(1);
    expect(await rig.ranges(9)).toEqual(['1-1', '1-3']);
    expect(await rig.ranges(1)).toEqual(['1-1', '3-3']);
    await rig.commit();
    await rig.clock.advance(20_000);
    expect(await rig.ranges(1)).toEqual(['1-1', '3-3', '4-4']);
    await rig.store.close();
  });

  it('tells once of a gap that a snapshot made up for before anybody looked, at whatever level it shows', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await settle();
    await rig.commit();
    await rig.clock.advance(10_000);
    for (let i = 0; i < 2; i += 1) await rig.commit();
    const missing = await Array.fromAsync(rig.client.ltxFiles(0, { seek: 2n }));
    await rig.client.deleteLtxFiles(missing.slice(0, 1));
    await rig.stored.snapshot();
    await rig.clock.advance(600_000);
    expect(await rig.ranges(1)).toEqual(['1-1', '3-3']);
    expect(await rig.ranges(2)).toEqual(['1-1', '3-3']);
    expect(rig.log.lines.filter((line) => line.startsWith('WARN'))).toEqual([
      'WARN replica has a gap, a snapshot makes up for it',
    ]);
    await rig.store.close();
  });

  it('verifies what a compaction has written, where the backend keeps something else', async () => {
    const errors: string[] = [];
    const rig = new Rig({ onVerifyError: (message) => errors.push(message) });
    rig.store.add(rig.stored);
    await settle();
    for (let i = 0; i < 3; i += 1) await rig.commit();
    const key = 'ltx/1/0000000000000001-0000000000000003.ltx';
    rig.pause = (operation) => {
      const entry = rig.client.store.entries.get(key);
      // Cut off as soon as it is there.
      if (operation === 'ltxFiles' && entry !== undefined) {
        rig.client.store.put(key, entry.bytes.slice(0, 150), entry.time);
        rig.pause = () => undefined;
      }
    };
    await rig.clock.advance(10_000);
    expect(errors).toEqual([expect.stringContaining(key)]);
    expect(rig.stored.counts.verifyErrors).toBe(1);
    expect(rig.log.lines.filter((line) => line.startsWith('WARN'))).toEqual([
      'WARN post-compaction verification failed',
    ]);
    await rig.store.close();
  });

  it('validates, and names the damaged file', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await settle();
    await rig.commit();
    const [file] = await Array.fromAsync(rig.client.ltxFiles(0));
    const { size, timestamp } = file as LtxFileInfo;
    async function* garbage(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(size);
    }
    await rig.client.writeLtxFile({ level: 0, minTxid: 1n, maxTxid: 1n, timestamp }, { size, open: garbage });
    const [report] = await rig.store.validate();
    expect(report?.faults).toMatchObject([
      { kind: 'corrupt', level: 0, file: 'ltx/0/0000000000000001-0000000000000001.ltx' },
    ]);
    expect(rig.log.lines).toContain('WARN validation error detected ltx/0/0000000000000001-0000000000000001.ltx');
    await rig.store.close();
  });

  it('validates by itself once an interval, and counts what it finds', async () => {
    const rig = new Rig();
    const store = rig.newStore({ validationIntervalMs: 60_000 });
    store.add(rig.stored);
    for (let i = 0; i < 4; i += 1) await rig.commit();
    // The clock begins 20 s before a full minute.
    await rig.clock.advance(19_000);
    const listings = (): number => rig.calls.filter((call) => call.startsWith('ltxFiles ltx/8/')).length;
    const before = listings();
    for (const [key, { bytes, time }] of rig.client.store.entries) {
      rig.client.store.put(key, bytes.slice(0, -8), time); // all of them, because a sample is drawn
    }
    await rig.clock.advance(2000);
    expect(listings()).toBe(before + 1);
    // The next one is an interval away, and finds that a snapshot was taken meanwhile.
    await rig.clock.advance(57_000);
    expect(listings()).toBe(before + 1);
    await rig.clock.advance(120_000);
    expect(listings()).toBe(before + 3);
    const said = rig.log.lines.filter((line) => line.startsWith('WARN validation error detected'));
    expect(said.length).toBeGreaterThan(0);
    expect(said.every((line) => /ltx\/\d\/[0-9a-f]{16}-[0-9a-f]{16}\.ltx$/.test(line))).toBe(true);
    expect(rig.stored.counts.validationErrors).toBe(said.length);
    await store.close();
  });

  it('works on many replicas side by side, never on more than its bound', async () => {
    const first = new Rig();
    const { clock } = first;
    const rigs = [first, ...Array.from({ length: 7 }, () => new Rig({ clock }))];
    const store = first.newStore({ concurrency: 3 });
    let underWay = 0;
    let most = 0;
    for (const rig of rigs) {
      await rig.commit();
      rig.pause = async (operation) => {
        if (operation !== 'writeLtxFile') return;
        most = Math.max(most, (underWay += 1));
        await settle();
        underWay -= 1;
      };
      store.add(rig.stored);
    }
    await clock.advance(60_000);
    expect(most).toBe(3);
    for (const rig of rigs) expect([await rig.ranges(1), await rig.ranges(9)]).toEqual([['1-1'], ['1-1']]);
    await store.close();
  });

  it('closes in mid-compaction: nothing half-written, nothing begun afterwards', async () => {
    const rig = new Rig();
    rig.store.add(rig.stored);
    await settle();
    for (let i = 0; i < 3; i += 1) await rig.commit();
    const closed = rig.clock.advance(10_000).then(() => undefined);
    await rig.store.close();
    await closed;
    rig.calls.length = 0;
    await rig.clock.advance(600_000);
    expect(rig.calls).toEqual([]);
    for (const range of await rig.ranges(1)) expect(range).toBe('1-3');
  });
});
