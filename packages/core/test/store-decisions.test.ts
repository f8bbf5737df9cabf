/** The pure decisions of the store: what to merge, what to delete, when. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LtxFileInfo } from '../src/storage/contract/contract.ts';
import type { Clock } from '../src/util/clock.ts';
import { extendChain } from '../src/restore/plan/chain.ts';
import { FileAges } from '../src/retention/file-ages.ts';
import type { AgeLimit } from '../src/retention/file-ages.ts';
import { compactionInputs } from '../src/compaction/compaction-inputs.ts';
import { contiguityFaults } from '../src/compaction/contiguity.ts';
import { boundaryAfter, boundaryBefore, checkLevels, DEFAULT_LEVELS } from '../src/compaction/compaction-levels.ts';
import { expiredBelow, expiredLevel0, expiredSnapshots } from '../src/retention/retention.ts';

const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
console.log(`store decisions: SEED=${seed}`);

/** By their times alone. */
const limit = (beforeMs: number): AgeLimit => ({ before: new Date(beforeMs), seenTo: 0n });

/** A contiguous chain of files from TXID 1, with rising times. */
const chain = fc
  .array(fc.record({ txids: fc.integer({ min: 1, max: 9 }), gapMs: fc.integer({ min: 0, max: 5000 }) }), {
    maxLength: 30,
  })
  .map((steps) => {
    let txid = 0;
    let time = 0;
    return steps.map(({ txids, gapMs }): LtxFileInfo => {
      const minTxid = BigInt(txid + 1);
      txid += txids;
      time += gapMs;
      return { level: 0, minTxid, maxTxid: BigInt(txid), size: 1, timestamp: new Date(time) };
    });
  });

describe('levels', () => {
  it('accepts the defaults and refuses holes, zero intervals and the snapshot level', () => {
    expect(() => checkLevels(DEFAULT_LEVELS)).not.toThrow();
    expect(() => checkLevels([{ level: 2, intervalMs: 1 }])).toThrow(/out of order/);
    expect(() => checkLevels([{ level: 1, intervalMs: 0 }])).toThrow(/interval/);
    expect(() => checkLevels(Array.from({ length: 9 }, (_, i) => ({ level: i + 1, intervalMs: 1 })))).toThrow(
      /above 8/,
    );
  });

  it('puts every moment between two boundaries of its interval', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), fc.integer({ min: 1, max: 10 ** 7 }), (now, interval) => {
        const before = boundaryBefore(now, interval);
        expect(before).toBeLessThanOrEqual(now);
        expect(boundaryAfter(now, interval)).toBeGreaterThan(now);
        expect(before % interval).toBe(0);
      }),
      { seed },
    );
  });
});

describe('compaction inputs', () => {
  it('takes the whole run after the top, up to the bound', () => {
    fc.assert(
      fc.property(chain, fc.integer({ min: 1, max: 40 }), fc.nat(29), (files, inputsMax, at) => {
        const top = files[at]?.maxTxid ?? 0n;
        const pending = files.filter((file) => file.minTxid > top);
        expect(compactionInputs(pending, { top, snapshots: [], inputsMax })).toEqual(pending.slice(0, inputsMax));
      }),
      { seed },
    );
  });

  it('refuses a missing file unless a snapshot covers the hole', () => {
    fc.assert(
      fc.property(
        chain.filter((files) => files.length > 2),
        fc.nat(),
        (files, pick) => {
          const missing = 1 + (pick % (files.length - 2));
          const behind = files[missing + 1] as LtxFileInfo;
          const holed = files.filter((_, index) => index !== missing);
          expect(() => compactionInputs(holed, { top: 0n, snapshots: [] })).toThrow(/gap at level 0/);
          expect(() => compactionInputs(holed, { top: 0n, snapshots: [behind.minTxid - 2n] })).toThrow(/gap/);
          const snapshots = [behind.minTxid - 1n];
          expect(compactionInputs(holed, { top: 0n, snapshots })).toEqual(files.slice(0, missing));
          const rest = files.slice(missing + 1);
          const top = (files[missing - 1] as LtxFileInfo).maxTxid;
          expect(compactionInputs(rest, { top, snapshots })).toEqual(rest);
          expect(() => compactionInputs(rest, { top, snapshots: [] })).toThrow(/has no file that begins at/);
        },
      ),
      { seed },
    );
  });

  it('names overlaps and disorder', () => {
    const file = (minTxid: bigint, maxTxid: bigint): LtxFileInfo => ({
      level: 1,
      minTxid,
      maxTxid,
      size: 1,
      timestamp: new Date(0),
    });
    expect(contiguityFaults([file(1n, 3n), file(3n, 4n)])[0]?.kind).toBe('overlap');
    expect(contiguityFaults([file(5n, 6n), file(3n, 4n)])[0]?.kind).toBe('order');
    const overlap = [file(1n, 3n), file(3n, 4n)];
    expect(() => compactionInputs(overlap, { top: 0n, snapshots: [3n] })).toThrow(/overlap at level 1/);
    expect(compactionInputs(overlap, { top: 0n, snapshots: [4n] })).toEqual([file(1n, 3n)]);
    const disorder = [file(5n, 6n), file(3n, 4n)];
    expect(() => compactionInputs(disorder, { top: 4n, snapshots: [9n] })).toThrow(/order at level 1/);
  });

  it('passes over files that lie within another one: a compaction was done twice', () => {
    const file = (minTxid: bigint, maxTxid: bigint): LtxFileInfo => ({
      level: 1,
      minTxid,
      maxTxid,
      size: 1,
      timestamp: new Date(0),
    });
    const files = [file(1n, 2n), file(3n, 4n), file(3n, 9n), file(5n, 8n), file(10n, 10n)];
    expect(compactionInputs(files, { top: 0n, snapshots: [] })).toEqual([file(1n, 2n), file(3n, 9n), file(10n, 10n)]);
  });
});

describe('retention', () => {
  it('keeps the newest snapshot whatever its age, and a floor below every kept one', () => {
    fc.assert(
      fc.property(chain, fc.nat(200_000), (files, beforeMs) => {
        const snapshots = files.map((file) => ({ ...file, level: 9, minTxid: 1n }));
        const { expired, floor } = expiredSnapshots(snapshots, limit(beforeMs));
        const kept = snapshots.filter((file) => !expired.includes(file));
        if (snapshots.length > 0) expect(kept).toContain(snapshots.at(-1));
        expect(expired.every((file) => file.timestamp.getTime() < beforeMs)).toBe(true);
        for (const file of kept) if (floor !== undefined) expect(floor).toBeLessThan(file.maxTxid);
        expect(floor === undefined).toBe(expired.length === 0);
      }),
      { seed },
    );
  });

  it('takes no file for a snapshot that does not begin at the first transaction', () => {
    const at = (minTxid: bigint, maxTxid: bigint): LtxFileInfo => {
      return { level: 9, minTxid, maxTxid, size: 1, timestamp: new Date(Number(maxTxid)) };
    };
    const [old, base, stray] = [at(1n, 3n), at(1n, 4n), at(5n, 9n)];
    const late = limit(100);
    expect(expiredSnapshots([base, stray], late)).toEqual({ expired: [], floor: undefined });
    expect(expiredSnapshots([old, base, stray], late)).toEqual({ expired: [old], floor: 3n });
    expect(expiredSnapshots([stray], late)).toEqual({ expired: [], floor: undefined });
  });

  it('never opens a hole: what is left of a level still reaches from the floor to the end', () => {
    fc.assert(
      fc.property(chain, fc.bigInt({ min: 0n, max: 300n }), (files, floor) => {
        const expired = expiredBelow(files, floor);
        const left = files.filter((file) => !expired.includes(file));
        expect(contiguityFaults(left)).toEqual([]);
        if (files.length > 0) expect(left.at(-1)).toEqual(files.at(-1));
        for (const file of expired) expect(file.maxTxid).toBeLessThan(floor);
      }),
      { seed },
    );
  });

  it('deletes level 0 files only when level 1 holds them and they are old, and never the newest', () => {
    fc.assert(
      fc.property(chain, fc.nat(30), fc.nat(300), fc.nat(200_000), (files, count, snapshot, beforeMs) => {
        const held = files.slice(0, count);
        const [first] = held;
        const last = held.at(-1);
        const level1 = first === undefined || last === undefined ? [] : [{ ...last, level: 1, minTxid: first.minTxid }];
        const { expired } = expiredLevel0(files, { level1, snapshot: BigInt(snapshot) }, limit(beforeMs));
        expect(files.slice(0, expired.length)).toEqual(expired);
        for (const file of expired) {
          expect(held).toContain(file);
          expect(file.timestamp.getTime()).toBeLessThanOrEqual(beforeMs);
        }
        if (files.length > 0) expect(expired.length).toBeLessThan(files.length);
      }),
      { seed },
    );
  });

  it('leaves no level 0 file that a restore cannot reach: what one file of level 1 holds goes together', () => {
    fc.assert(
      fc.property(chain, fc.array(fc.integer({ min: 1, max: 6 })), fc.nat(200_000), (files, widths, beforeMs) => {
        const level1: LtxFileInfo[] = [];
        let at = 0;
        for (const width of widths) {
          const merged = files.slice(at, at + width);
          const [first, last] = [merged[0], merged.at(-1)];
          if (first === undefined || last === undefined) break;
          level1.push({ ...last, level: 1, minTxid: first.minTxid });
          at += width;
        }
        const { expired } = expiredLevel0(files, { level1, snapshot: 0n }, limit(beforeMs));
        const left = files.slice(expired.length);
        for (const { maxTxid } of left) {
          const reached = extendChain([...left, ...level1], 0n, { txid: maxTxid }).at(-1)?.maxTxid;
          expect(reached).toBe(maxTxid);
        }
        // Nor does more stay than that takes.
        const kept = level1.find((file) => file.minTxid === left[0]?.minTxid);
        if (kept !== undefined && left.length > 1) expect(kept.timestamp.getTime()).toBeGreaterThan(beforeMs);
      }),
      { seed },
    );
  });

  it('keeps a level 0 file that compaction left behind, unless a snapshot holds what it held', () => {
    const at = (txid: bigint, level = 0, minTxid = txid): LtxFileInfo => ({
      level,
      minTxid,
      maxTxid: txid,
      size: 1,
      timestamp: new Date(0),
    });
    const files = [1n, 2n, 3n, 4n, 5n].map((txid) => at(txid));
    const level1 = [at(1n, 1), at(4n, 1, 3n)];
    const txids = (snapshot: bigint): bigint[] =>
      expiredLevel0(files, { level1, snapshot }, limit(1)).expired.map(({ maxTxid }) => maxTxid);
    expect(txids(0n)).toEqual([1n]);
    expect(txids(1n)).toEqual([1n]);
    expect(txids(2n)).toEqual([1n, 2n, 3n, 4n]);
  });
});

describe('ages', () => {
  const retentionMs = 6400;
  const step = fc.record({
    passMs: fc.integer({ min: 1, max: 3000 }),
    /** Where somebody sets the clock: so far from the truth. */
    setMs: fc.option(fc.integer({ min: -20_000, max: 1e9 })),
    commits: fc.integer({ min: 0, max: 3 }),
  });

  it('holds nothing for old that is not, while the clock is ahead, and everything that is, whatever the clock shows', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, isEverBehind) => {
        let elapsedMs = 0;
        let errorMs = 0;
        const wall = (): number => 1e12 + elapsedMs + errorMs;
        const clock: Clock = { now: wall, monotonic: () => elapsedMs, schedule: () => () => undefined };
        const ages = new FileAges(clock, retentionMs);
        // Each with what it bears, when it was written, and when it was first looked at.
        const files: { txid: bigint; stampMs: number; writtenMs: number; seenMs?: number }[] = [];
        const wrong: object[] = [];
        const commit = (): void => {
          const stampMs = Math.max(wall(), (files.at(-1)?.stampMs ?? 0) + 1); // as `CommitTimes` stamps them
          files.push({ txid: BigInt(files.length + 1), stampMs, writtenMs: elapsedMs });
        };
        commit();
        for (const { passMs, setMs, commits } of [{ passMs: 1, setMs: null, commits: 1 }, ...steps]) {
          for (let i = 0; i < commits; i += 1) commit();
          const newest = files.at(-1);
          const { before, seenTo } = ages.look(newest?.txid ?? 0n, new Date(newest?.stampMs ?? 0));
          for (const file of files) {
            file.seenMs ??= elapsedMs;
            const isOld = file.stampMs < before.getTime() || file.txid <= seenTo;
            if (!isEverBehind && isOld && elapsedMs - file.writtenMs < retentionMs) wrong.push({ early: file });
            // A look that is not remembered is made up for by the next one that is.
            const lateMs = retentionMs / 64 + 3000;
            if (!isOld && elapsedMs - file.seenMs >= retentionMs + lateMs) wrong.push({ late: file });
          }
          elapsedMs += passMs;
          if (setMs !== null) errorMs = isEverBehind ? setMs : Math.abs(setMs);
        }
        expect(wrong).toEqual([]);
      }),
      { seed },
    );
  });

  it('takes the newest file for the present, where the clock was ahead before anybody looked', () => {
    const clock: Clock = { now: () => 1e15, monotonic: () => 5, schedule: () => () => undefined };
    expect(new FileAges(clock, 100).look(7n, new Date(1e12))).toEqual({ before: new Date(1e12 - 100), seenTo: 0n });
  });

  it('holds no file for old that was written after the clock was set right', () => {
    let [wallMs, nowMs] = [1e15, 0];
    const clock: Clock = { now: () => wallMs, monotonic: () => nowMs, schedule: () => () => undefined };
    const ages = new FileAges(clock, 100);
    ages.look(1n, new Date(1e15));
    [wallMs, nowMs] = [1e12, 1000];
    // Stamped in their order until the clock has caught up, so as if they were as old as the first one.
    const { before, seenTo } = ages.look(2n, new Date(1e15 + 1));
    expect(before.getTime()).toBeLessThan(1e15);
    expect(seenTo).toBe(1n);
  });

  it('has not seen the files of a timeline that starts from scratch', () => {
    let nowMs = 0;
    const clock: Clock = { now: () => 0, monotonic: () => nowMs, schedule: () => () => undefined };
    const ages = new FileAges(clock, 100);
    ages.look(9n, undefined);
    nowMs = 100;
    expect(ages.look(9n, undefined).seenTo).toBe(9n);
    expect(ages.look(3n, undefined).seenTo).toBe(0n);
    nowMs = 200;
    expect(ages.look(12n, undefined).seenTo).toBe(3n);
  });
});
