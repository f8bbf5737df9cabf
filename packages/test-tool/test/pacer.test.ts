import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seedOf } from '../../../tests/support/random.ts';
import { Pacer } from '../src/load/pacer.ts';
import { PATTERNS, rateShare } from '../src/load/pattern.ts';
import type { Pattern } from '../src/load/pattern.ts';

const seed = seedOf();
console.log(`pacer: SEED=${seed}`);
fc.configureGlobal({ seed });

const DURATION_MS = 63_000;

/** Operations done in a time by a worker that always keeps up and asks at these intervals. */
function total(pattern: Pattern, rate: number, intervals: readonly number[], random = Math.random): number {
  const pacer = new Pacer(rate, pattern, random);
  let done = 0;
  for (let at = 0, elapsedMs = 0; elapsedMs < DURATION_MS; at += 1) {
    elapsedMs = Math.min(DURATION_MS, elapsedMs + (intervals[at % intervals.length] ?? 1));
    const due = pacer.due(elapsedMs);
    pacer.done(due);
    done += due;
  }
  return done;
}

describe('the pacer', () => {
  test('asks for the rate times the share of the pattern, however often it is asked', () => {
    // Of 63 s: all; 6 full bursts and one at the end; a wave that is above its middle for half of the time.
    const seconds: Record<Pattern, number> = { constant: 63, burst: 21, random: 47.25, wave: 63 - 0.4 * 20 };
    fc.assert(
      fc.property(
        fc.constantFrom(...PATTERNS),
        fc.integer({ min: 10, max: 5000 }),
        fc.array(fc.double({ min: 0.2, max: 60, noNaN: true }), { minLength: 1, maxLength: 20 }),
        (pattern, rate, intervals) => {
          // Evenly spread draws, so that their average is what it should be.
          let draw = 0;
          const random = (): number => ((draw += 1) * 0.618_034) % 1;
          const expected = rate * seconds[pattern];
          expect(Math.abs(total(pattern, rate, intervals, random) - expected)).toBeLessThan(expected * 0.02 + 2);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('lets a worker that fell behind skip what it missed by more than a second', () => {
    const pacer = new Pacer(100, 'constant');
    expect(pacer.due(60_000)).toBe(100);
    pacer.done(100);
    expect(pacer.due(60_010)).toBe(1);
  });

  test('never waits longer than the next operation, nor for ever', () => {
    const pacer = new Pacer(100, 'constant');
    expect(pacer.due(1)).toBe(0);
    expect(pacer.waitMs).toBeCloseTo(9);
    expect(new Pacer(0.01, 'constant').waitMs).toBe(50);
  });
});

test('patterns stay between nothing and all', () => {
  for (const pattern of PATTERNS) {
    for (let elapsedMs = 0; elapsedMs < DURATION_MS; elapsedMs += 50) {
      const share = rateShare(pattern, elapsedMs);
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(1);
    }
  }
});
