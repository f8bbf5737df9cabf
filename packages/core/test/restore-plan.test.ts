import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seedOf } from '../../../tests/support/random.ts';
import type { LtxFileInfo } from '../src/storage/contract/contract.ts';
import { isLitestreamError } from '../src/util/error.ts';
import type { RestoreTarget } from '../src/restore/plan/chain.ts';
import { planChain } from '../src/restore/plan/plan.ts';
import { timeDoubts } from '../src/restore/plan/time-doubts.ts';

const seed = seedOf();
console.log(`restore plan: SEED=${seed}`);
fc.configureGlobal({ seed });

const baseMs = Date.UTC(2026, 0, 1);
/** Time of a commit: two TXIDs share a millisecond now and then. */
const commitMs = (txid: bigint): number => baseMs + Math.floor(Number(txid) * 0.7) * 1000;
const nowMs = baseMs + 86_400_000;

function file(level: number, minTxid: number, maxTxid: number): LtxFileInfo {
  const max = BigInt(maxTxid);
  return { level, minTxid: BigInt(minTxid), maxTxid: max, size: 200, timestamp: new Date(commitMs(max)) };
}

/** Every TXID at which some sequence of whole files ends, found by trying all of them. */
function reachable(files: readonly LtxFileInfo[], target: RestoreTarget): Set<bigint> {
  const timeMs = target.timestamp?.getTime() ?? Infinity;
  const limit = target.txid ?? 1n << 62n;
  const usable = files.filter((each) => each.maxTxid <= limit && each.timestamp.getTime() <= timeMs);
  const states = new Set([0n]);
  for (let before = -1; before !== states.size;) {
    before = states.size;
    for (const each of usable) {
      for (const state of states) {
        const fits = each.level === 9 ? each.minTxid === 1n && state === 0n : each.minTxid <= state + 1n;
        if (fits && each.maxTxid > state) states.add(each.maxTxid);
      }
    }
  }
  states.delete(0n);
  return states;
}

const maxOf = (values: Iterable<bigint>): bigint => [...values].reduce((max, value) => (value > max ? value : max), 0n);

type Outcome = { readonly chain: LtxFileInfo[] } | { readonly code: string; readonly message: string };

function plan(files: readonly LtxFileInfo[], target: RestoreTarget): Outcome {
  try {
    return { chain: planChain(files, target, nowMs) };
  } catch (error) {
    if (!isLitestreamError(error)) throw error;
    return { code: error.code, message: `${error.message} ${error.hint ?? ''}` };
  }
}

const TXID_MAX = 24;
const anyFile = fc
  .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: TXID_MAX }), fc.integer({ min: 0, max: 12 }))
  .map(([level, min, length]) =>
    level === 0 ? file(0, min, min) : file(level, level === 9 ? 1 : min, Math.min(min + length, TXID_MAX)),
  );
const anyFiles = fc.array(anyFile, { maxLength: 30 });

function expectChain(chain: readonly LtxFileInfo[]): void {
  expect(chain[0]?.minTxid).toBe(1n);
  chain.slice(1).forEach((next, index) => {
    const before = chain[index];
    expect(next.level).not.toBe(9);
    expect(next.minTxid <= (before?.maxTxid ?? 0n) + 1n).toBe(true);
    expect(next.maxTxid > (before?.maxTxid ?? 0n)).toBe(true);
  });
}

describe('planChain against a search through every chain', () => {
  test('newest: reaches the highest state, or says where the gap is', () => {
    const seen = { chain: 0, gap: 0 };
    fc.assert(
      fc.property(anyFiles, (files) => {
        const outcome = plan(files, {});
        const highest = maxOf(reachable(files, {}));
        const beyond = files.some((each) => each.minTxid > highest + 1n);
        if ('chain' in outcome) {
          seen.chain++;
          expectChain(outcome.chain);
          expect(outcome.chain.at(-1)?.maxTxid).toBe(highest);
          expect(beyond).toBe(false);
        } else if (files.length === 0) {
          expect(outcome.code).toBe('REPLICA_EMPTY');
        } else {
          seen.gap++;
          expect(outcome.code).toBe('REPLICA_GAP');
          expect(beyond || highest === 0n).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
    expect(seen.chain).toBeGreaterThan(50);
    expect(seen.gap).toBeGreaterThan(50);
  });

  test('a TXID: exactly that state, or an error if no chain ends there', () => {
    const seen = { chain: 0, error: 0 };
    fc.assert(
      fc.property(anyFiles, fc.bigInt({ min: 1n, max: BigInt(TXID_MAX) + 3n }), (files, txid) => {
        const outcome = plan(files, { txid });
        if ('chain' in outcome) {
          seen.chain++;
          expectChain(outcome.chain);
          expect(outcome.chain.at(-1)?.maxTxid).toBe(txid);
        } else {
          seen.error++;
          expect(reachable(files, { txid }).has(txid)).toBe(false);
          expect(['REPLICA_EMPTY', 'REPLICA_GAP', 'TXID_OUT_OF_RANGE']).toContain(outcome.code);
        }
      }),
      { numRuns: 3000 },
    );
    expect(seen.chain).toBeGreaterThan(50);
    expect(seen.error).toBeGreaterThan(50);
  });

  test('a timestamp: the last state not later than it', () => {
    let chains = 0;
    fc.assert(
      fc.property(anyFiles, fc.integer({ min: -2, max: TXID_MAX + 3 }), fc.boolean(), (files, second, exact) => {
        const timestamp = new Date(baseMs + second * 1000 + (exact ? 0 : 500));
        const outcome = plan(files, { timestamp });
        const highest = maxOf(reachable(files, { timestamp }));
        if ('chain' in outcome) {
          chains++;
          expectChain(outcome.chain);
          expect(outcome.chain.at(-1)?.maxTxid).toBe(highest);
          for (const each of outcome.chain) expect(commitMs(each.maxTxid)).toBeLessThanOrEqual(timestamp.getTime());
        } else if (highest > 0n) {
          expect(outcome.code).toBe('REPLICA_GAP');
        } else {
          expect(['REPLICA_EMPTY', 'REPLICA_GAP', 'TIMESTAMP_OUT_OF_RANGE']).toContain(outcome.code);
        }
      }),
      { numRuns: 3000 },
    );
    expect(chains).toBeGreaterThan(50);
  });

  test('the order of the listing does not matter', () => {
    fc.assert(
      fc.property(
        anyFiles.chain((files) =>
          fc.tuple(fc.constant(files), fc.shuffledSubarray(files, { minLength: files.length })),
        ),
        ([files, shuffled]) => {
          expect(plan(shuffled, {})).toEqual(plan(files, {}));
        },
      ),
    );
  });
});

describe('planChain', () => {
  const names = (files: readonly LtxFileInfo[]): string[] =>
    files.map((each) => `${each.level}:${each.minTxid}-${each.maxTxid}`);
  const history = [
    file(9, 1, 4),
    file(9, 1, 10),
    file(2, 11, 20),
    file(1, 11, 15),
    file(1, 16, 20),
    file(1, 21, 25),
    ...Array.from({ length: 10 }, (_, index) => file(0, 18 + index, 18 + index)),
  ];

  test('starts at the newest snapshot and takes the widest files', () => {
    expect(names(planChain(history, {}, nowMs))).toEqual(['9:1-10', '2:11-20', '1:21-25', '0:26-26', '0:27-27']);
    expect(names(planChain(history, { txid: 9n + 6n }, nowMs))).toEqual(['9:1-10', '1:11-15']);
    expect(names(planChain(history, { txid: 4n }, nowMs))).toEqual(['9:1-4']);
  });

  test('a restore at the timestamp of a file includes the file', () => {
    const chain = planChain(history, { timestamp: new Date(commitMs(25n)) }, nowMs);
    expect(chain.at(-1)?.maxTxid).toBe(25n);
  });

  test('needs no snapshot where level 0 starts at TXID 1', () => {
    expect(names(planChain([file(0, 1, 1), file(0, 2, 2)], {}, nowMs))).toEqual(['0:1-1', '0:2-2']);
  });

  test('at equal reach prefers the wider file, then the higher level', () => {
    const files = [file(0, 1, 1), file(0, 5, 5), file(1, 2, 5), file(2, 2, 5), file(1, 3, 5)];
    expect(names(planChain(files, {}, nowMs))).toEqual(['0:1-1', '2:2-5']);
  });

  test('a file left out for its time is no gap', () => {
    const late = { ...file(0, 2, 2), timestamp: new Date(commitMs(9n)) };
    const chain = planChain([file(0, 1, 1), late, file(0, 3, 3)], { timestamp: new Date(commitMs(4n)) }, nowMs);
    expect(names(chain)).toEqual(['0:1-1']);
  });

  test.each([
    ['a clock was ahead for one commit', [1, 2, 900, 901], { ahead: [3n], outOfOrder: [] }],
    ['times fall behind one that is too late', [1, 2, 8, 4], { ahead: [], outOfOrder: [3n] }],
    ['both', [1, 2, 900, 4], { ahead: [3n], outOfOrder: [3n] }],
    ['the next file is later than what was asked for, and may be', [1, 2, 9, 900], { ahead: [], outOfOrder: [] }],
    ['nothing is later', [1, 2, 3, 4], { ahead: [], outOfOrder: [] }],
  ])('doubts of times: %s', (_what, seconds, expected) => {
    const files = seconds.map((second, index) => ({
      ...file(0, index + 1, index + 1),
      timestamp: new Date(baseMs + second * 1000),
    }));
    const timeMs = baseMs + 5000;
    const reached = planChain(files, { timestamp: new Date(timeMs) }, nowMs).at(-1)?.maxTxid ?? 0n;
    const doubts = timeDoubts(files, { reached, timeMs, nowMs: baseMs + 100_000 });
    const txids = (found: readonly LtxFileInfo[]): bigint[] => found.map(({ maxTxid }) => maxTxid);
    expect({ ahead: txids(doubts.ahead), outOfOrder: txids(doubts.outOfOrder) }).toEqual(expected);
  });

  test('errors name the range that exists', () => {
    expect(plan(history, { txid: 99n })).toMatchObject({
      code: 'TXID_OUT_OF_RANGE',
      message: expect.stringMatching(/0000000000000004 to 000000000000001b/),
    });
    expect(plan(history, { txid: 3n })).toMatchObject({ code: 'TXID_OUT_OF_RANGE' });
    expect(plan(history, { txid: 7n })).toMatchObject({
      code: 'TXID_OUT_OF_RANGE',
      message: expect.stringMatching(/merged.*nearest.*0000000000000004 and 000000000000000a/),
    });
    expect(plan(history, { timestamp: new Date(baseMs - 1) })).toMatchObject({
      code: 'TIMESTAMP_OUT_OF_RANGE',
      message: expect.stringMatching(/2026-01-01T00:00:02.000Z to 2026-01-01T00:00:18.000Z/),
    });
    expect(plan(history, { timestamp: new Date(nowMs + 1) })).toMatchObject({ code: 'TIMESTAMP_OUT_OF_RANGE' });
  });

  test('a gap is named by its two ends', () => {
    const files = [file(9, 1, 4), file(0, 5, 5), file(0, 8, 8)];
    const gap = { code: 'REPLICA_GAP', message: expect.stringMatching(/0000000000000005.*0000000000000008/) };
    expect(plan(files, {})).toMatchObject(gap);
    expect(plan(files, { txid: 8n })).toMatchObject(gap);
    expect(plan(files, { timestamp: new Date(commitMs(8n)) })).toMatchObject(gap);
    expect(plan(files, { txid: 5n })).toHaveProperty('chain');
  });

  test('an empty replica, and one without a start', () => {
    expect(plan([], {})).toMatchObject({ code: 'REPLICA_EMPTY' });
    expect(plan([file(0, 5, 5)], {})).toMatchObject({
      code: 'REPLICA_GAP',
      message: expect.stringMatching(/starts at/),
    });
  });
});
