/**
 * Runs each test file many times on an overloaded machine:
 * `npm run test:stress -- [--rounds N] [--workers N] [--load N] [NAME ...]`.
 *
 * A NAME is a package, or a part of the names of test files. `--workers` files run at the same time (default: two more than there are
 * cores), in batches of one vitest each. Beside them run `--load` processes that use CPU time (default: one per core; 0 is no load), one
 * that writes to the disk, and one that pauses processes of the tests (not with `--no-pauses`, and not for files that send SIGSTOP
 * themselves). Each round has its own seed; `SEED` sets the first. The output of failed runs is kept under `.cache/stress`. Exits with 1
 * if a run failed.
 */
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { seedOf } from '../support/random.ts';
import { cacheFolder, repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { startLoad } from './load.ts';
import { failureLines, progressLine, summaryLine } from './report.ts';
import { batchesOf, work } from './schedule.ts';
import { matching, testFilesOf, testFilesOfRepository } from './test-files.ts';
import { testRun } from './test-run.ts';
import type { Outcome } from './test-run.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    rounds: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism() + 2) },
    load: { type: 'string', default: String(availableParallelism()) },
    pauses: { type: 'boolean', default: true },
    // A folder with a vitest configuration, instead of this repository's packages: the runner's own test.
    folder: { type: 'string' },
  },
});
const roundCount = countOf('rounds', 1);
const workerCount = countOf('workers', 1);
const busyCount = countOf('load', 0);

const all = values.folder === undefined ? await testFilesOfRepository() : await testFilesOf(resolve(values.folder));
const files = matching(all, positionals);
if (files.length === 0) throw new Error(`no test file is called ${positionals.join(' or ')}`);
const firstSeed = seedOf();
const plannedCount = files.length * roundCount;
const startedAt = performance.now();
const outcomes: Outcome[] = [];
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stopping.abort(new Error(`stopped by ${signal}`)));
}

{
  await using scratch = await temporaryFolder('stress');
  await using load = startLoad({
    busyCount,
    hasPauses: values.pauses,
    seed: firstSeed,
    folder: scratch.path,
    onEnd: (error) => stopping.abort(error),
  });
  const pids = load.pids.length === 0 ? 'none' : `processes ${load.pids.join(' ')}`;
  console.log(
    `stress: ${files.length} files × ${roundCount}, ${workerCount} at once, SEED=${firstSeed}, load: ${pids}`,
  );
  const logFolder = join(
    await cacheFolder('stress'),
    `${new Date().toISOString().replaceAll(':', '-')}-${process.pid}`,
  );
  const options = { scratchFolder: scratch.path, logFolder, signal: stopping.signal, load };
  const batches = batchesOf(files, {
    roundCount,
    seed: firstSeed,
    workerCount,
    isApart: ({ sendsStop }) => sendsStop,
  });
  await work(batches, workerCount, stopping.signal, async (batch) => {
    for (const outcome of (await testRun(batch, options)) ?? []) {
      outcomes.push(outcome);
      console.log(progressLine(outcome, `${outcomes.length}/${plannedCount}`));
    }
  });
}

for (const line of failureLines(outcomes, repositoryRoot)) console.log(line);
console.log(`\n${summaryLine(outcomes, plannedCount, performance.now() - startedAt)}`);
if (stopping.signal.aborted) console.error(`Error: ${(stopping.signal.reason as Error).message}`);
const failed = outcomes.some(({ failures }) => failures.length > 0);
process.exitCode = failed || stopping.signal.aborted ? 1 : 0;

function countOf(name: 'rounds' | 'workers' | 'load', min: number): number {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < min) throw new Error(`--${name} must be a whole number from ${min}`);
  return value;
}
