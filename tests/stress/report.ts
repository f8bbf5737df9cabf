/** The texts of a stress run. */
import { relative } from 'node:path';
import type { Outcome } from './test-run.ts';

/** One line per run. */
export function progressLine({ file, round, seed, durationMs, failures }: Outcome, position: string): string {
  const verdict = failures.length === 0 ? 'pass' : 'FAIL';
  return `${verdict}  ${position}  round ${round}  SEED=${seed}  ${seconds(durationMs).padStart(7)}  ${file.name}`;
}

/** Files that failed, the most frequent first: which tests, how often, with which seeds, and how to repeat the failure. */
export function failureLines(outcomes: readonly Outcome[], workingFolder: string): string[] {
  const failed = outcomes.filter(({ failures }) => failures.length > 0);
  const files = [...Map.groupBy(failed, ({ file }) => file.name)].sort(([, a], [, b]) => b.length - a.length);
  const lines: string[] = [];
  for (const [name, runs] of files) {
    const runCount = outcomes.filter(({ file }) => file.name === name).length;
    lines.push('', `${name}: ${runs.length} of ${runCount} runs failed`);
    for (const [test, seeds] of seedsByTest(runs)) {
      lines.push(`  ${test}: ${seeds.length} of ${runCount}, ${seeds.map((seed) => `SEED=${seed}`).join(' ')}`);
      const failures = runs.flatMap((run) => run.failures).filter((failure) => failure.test === test);
      for (const message of new Set(failures.map((failure) => firstLine(failure.message))))
        lines.push(`    ${message}`);
    }
    for (const { seed, logPath } of runs) {
      if (logPath !== undefined) lines.push(`  output: ${relative(workingFolder, logPath)}`);
      lines.push(`  again:  SEED=${seed} npm run test:stress -- --rounds 1 ${name}`);
    }
  }
  return lines;
}

function seedsByTest(runs: readonly Outcome[]): Map<string, number[]> {
  const seeds = new Map<string, number[]>();
  for (const { seed, failures } of runs) {
    for (const { test } of failures) seeds.set(test, [...(seeds.get(test) ?? []), seed]);
  }
  return seeds;
}

/** The last line. */
export function summaryLine(outcomes: readonly Outcome[], plannedCount: number, durationMs: number): string {
  const failedCount = outcomes.filter(({ failures }) => failures.length > 0).length;
  const runCount = outcomes.length === plannedCount ? String(plannedCount) : `${outcomes.length} of ${plannedCount}`;
  return `${runCount} runs of test files in ${seconds(durationMs)}: ${failedCount} failed`;
}

function firstLine(message: string): string {
  return message.trimStart().split('\n')[0] ?? '';
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
