import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seedOf } from '../../../tests/support/random.ts';
import { planChain } from '../src/restore/plan/plan.ts';
import { restorePointsOf } from '../src/restore/restore-points.ts';
import type { LtxFileInfo } from '../src/storage/contract/contract.ts';
import { isLitestreamError } from '../src/util/error.ts';

const seed = seedOf();
console.log(`restore points: SEED=${seed}`);
fc.configureGlobal({ seed });

const TXID_MAX = 24;

function file(level: number, minTxid: number, maxTxid: number): LtxFileInfo {
  const timestamp = new Date(Date.UTC(2026, 0, 1, 0, 0, maxTxid));
  return { level, minTxid: BigInt(minTxid), maxTxid: BigInt(maxTxid), size: 200, timestamp };
}

const anyFile = fc
  .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: TXID_MAX }), fc.integer({ min: 0, max: 12 }))
  .map(([level, min, length]) =>
    level === 0 ? file(0, min, min) : file(level, level === 9 ? 1 : min, Math.min(min + length, TXID_MAX)),
  );

function chainTo(files: readonly LtxFileInfo[], txid: bigint): readonly LtxFileInfo[] | undefined {
  try {
    return planChain(files, { txid }, Date.UTC(2026, 1, 1));
  } catch (error) {
    if (!isLitestreamError(error)) throw error;
    return undefined;
  }
}

describe('the restore points of a replica', () => {
  test('are the transactions to which a restore finds a chain, and name its snapshot and its last file', () => {
    let pointCount = 0;
    fc.assert(
      fc.property(fc.array(anyFile, { maxLength: 30 }), (files) => {
        const points = restorePointsOf(files);
        pointCount += points.length;
        const expected = Array.from({ length: TXID_MAX }, (_, index) => BigInt(index + 1)).flatMap((txid) => {
          const chain = chainTo(files, txid);
          const [first, last] = [chain?.[0], chain?.at(-1)];
          if (first === undefined || last === undefined) return [];
          const snapshotTxid = first.level === 9 ? first.maxTxid : 0n;
          return [{ format: 'ltx', txid, timestamp: last.timestamp, level: last.level, snapshotTxid }];
        });
        expect(points).toEqual(expected);
      }),
      { numRuns: 3000 },
    );
    expect(pointCount).toBeGreaterThan(3000);
  });

  test('of 200,000 files are found in one pass', () => {
    const files = Array.from({ length: 200_000 }, (_, index) => file(0, index + 1, index + 1));
    expect(restorePointsOf([...files, file(9, 1, 100_000)])).toHaveLength(200_000);
  });
});
