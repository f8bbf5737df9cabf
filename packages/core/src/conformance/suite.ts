/** The suite that every storage client passes, on any test runner. */
import assert from 'node:assert/strict';

import { Seeded } from '../testing/seeded.ts';
import { VARIATIONS } from './model/case.ts';
import type { ConformanceCase } from './model/case.ts';
import { CASES } from './cases/index.ts';
import type { ConformanceOptions } from './model/options.ts';
import { countOf, plan, summarize } from './model/report.ts';
import type { CaseResult, Report } from './model/report.ts';
import { runCase } from './run-case.ts';

/**
 * Defines the suite with the runner's own `describe` and `it`: every case of the contract, plain, under a long path,
 * behind core's guard, and behind that guard with injected faults. The last test prints and checks how many cases ran.
 */
export function conformance(options: ConformanceOptions): void {
  const seed = options.seed ?? defaultSeed();
  const planned = plan(CASES, options.variations ?? VARIATIONS);
  const results: CaseResult[] = [];
  options.describe(`conformance of ${options.name} (seed ${seed})`, () => {
    for (const [number, { testCase, variation }] of planned.entries()) {
      options.it(`${variation}: ${testCase.name}`, async () => {
        const result = await resultOf(options, { testCase, variation }, seed, number);
        results.push(result);
        if (result.outcome === 'failed') throw result.error;
      });
    }
    options.it('as many cases ran as should', async () => {
      const report: Report = { name: options.name, seed, results };
      (options.print ?? console.log)(summarize(report));
      await options.onReport?.(report);
      assert.equal(results.length, planned.length, 'some cases did not run at all');
      const ran = results.length - countOf(results, 'skipped');
      assert.ok(ran > 0, 'no case ran');
      if (options.runCount !== undefined) assert.equal(ran, options.runCount, 'the number of cases that ran changed');
    });
  });
}

/** Runs the suite, or some of its cases, without a test runner. */
export async function runConformance(
  options: Omit<ConformanceOptions, 'describe' | 'it'> & { readonly cases?: readonly ConformanceCase[] | undefined },
): Promise<Report> {
  const seed = options.seed ?? defaultSeed();
  const none = (): void => undefined;
  const results: CaseResult[] = [];
  for (const [number, planned] of plan(options.cases ?? CASES, options.variations ?? VARIATIONS).entries()) {
    results.push(await resultOf({ ...options, describe: none, it: none }, planned, seed, number));
  }
  return { name: options.name, seed, results };
}

function defaultSeed(): number {
  const { SEED } = process.env;
  return SEED === undefined ? new Seeded().seed : Number(SEED) >>> 0;
}

async function resultOf(
  options: ConformanceOptions,
  { testCase, variation }: ReturnType<typeof plan>[number],
  seed: number,
  number: number,
): Promise<CaseResult> {
  const startedAtMs = Date.now();
  const common = { name: testCase.name, variation };
  try {
    const lacks = await runCase({ options, testCase, variation, seed: (seed + number) >>> 0, number });
    const outcome = lacks.length > 0 ? 'skipped' : 'passed';
    return { ...common, outcome, lacks, durationMs: Date.now() - startedAtMs };
  } catch (error) {
    return { ...common, outcome: 'failed', error, durationMs: Date.now() - startedAtMs };
  }
}
