import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { failureLines, summaryLine } from '../stress/report.ts';
import { batchesOf, work } from '../stress/schedule.ts';
import { matching } from '../stress/test-files.ts';
import type { Outcome } from '../stress/test-run.ts';
import { Child } from '../support/child.ts';
import { repositoryRoot } from '../support/repository.ts';
import { until } from '../support/wait.ts';

describe('the command', () => {
  test('reports how often a test failed, and the seed that repeats it', async () => {
    const run = start(['--rounds', '3', 'even-seed'], { SEED: '10' });
    expect(await run.exited).toEqual({ code: 1, signal: null });

    expect(run.stdout).toMatch(/pass .*SEED=10 .*even-seed\.test\.ts/);
    expect(run.stdout).toMatch(/FAIL .*SEED=11 .*even-seed\.test\.ts/);
    expect(run.stdout).toMatch(/pass .*SEED=12 .*even-seed\.test\.ts/);
    expect(run.stdout).toContain(
      'fixture/even-seed.test.ts: 1 of 3 runs failed\n  the seed is even: 1 of 3, SEED=11\n',
    );
    expect(run.stdout).toContain('again:  SEED=11 npm run test:stress -- --rounds 1 fixture/even-seed.test.ts');
    expect(run.stdout).not.toContain('the other test passes');
    const [, log = ''] = /output: (.*)/.exec(run.stdout) ?? [];
    expect(readFileSync(join(repositoryRoot, log), 'utf8')).toContain('the seed is even');
    await rm(join(repositoryRoot, log, '..'), { recursive: true });
    expect(loadOf(run.stdout).filter(runs)).toEqual([]);
  });

  test('tells the files of a batch apart', async () => {
    const run = start(['even-seed', 'never-loads', 'passes'], { SEED: '11' });
    expect(await run.exited).toEqual({ code: 1, signal: null });
    expect(run.stdout).toMatch(/FAIL .*even-seed\.test\.ts/);
    expect(run.stdout).toMatch(/FAIL .*never-loads\.test\.ts/);
    expect(run.stdout).toMatch(/pass .*passes\.test\.ts/);
    expect(run.stdout).toContain('(outside of its tests): 1 of 1, SEED=11\n    this file cannot be loaded');
    expect(run.stdout).toContain('3 runs of test files');
    const [, log = ''] = /output: (.*)/.exec(run.stdout) ?? [];
    await rm(join(repositoryRoot, log, '..'), { recursive: true });
  });

  test('passes when every run passed', async () => {
    const run = start(['--rounds', '1', 'even-seed'], { SEED: '2' });
    expect(await run.exited, run.output).toEqual({ code: 0, signal: null });
    expect(run.stdout).toMatch(/\n1 runs of test files in .* s: 0 failed\n$/);
  });

  test.each(['SIGINT', 'SIGKILL'] as const)('leaves no load behind when %s ends it', async (signal) => {
    const folder = await mkdtemp(join(tmpdir(), 'litestream-stress-test-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const pidsPath = join(folder, 'pids');
    const run = start(['endless'], { ENDLESS_PIDS: pidsPath });
    await until('the test to run', () => existsSync(pidsPath) && readFileSync(pidsPath, 'utf8').includes(' '), {
      failed: () => (run.exit === undefined ? undefined : run.output),
    });
    const load = loadOf(run.stdout);
    const tests = readFileSync(pidsPath, 'utf8').split(' ').map(Number);
    onTestFinished(() => tests.filter(runs).forEach((pid) => process.kill(pid, 'SIGKILL')));
    expect(load.filter(runs)).toEqual(load);
    expect(load).toHaveLength(3);

    run.signal(signal);
    await run.exited;
    await until('the load to end', () => !load.some(runs));
    // Where it cannot even be asked to end, the tests go on until they are through.
    if (signal !== 'SIGKILL') {
      await until('the test and what it started to end', () => !tests.some(runs));
      expect(run.output).toContain('0 of 1 runs of test files');
      expect(run.output).toContain('stopped by SIGINT');
      expect(run.exit).toEqual({ code: 1, signal: null });
    }
  });

  test('pauses processes of the tests, and lets each of them continue', async () => {
    const run = start(['is-paused'], { SEED: '3' });
    expect(await run.exited, run.output).toEqual({ code: 0, signal: null });
    expect(run.stdout).toMatch(/pass .*is-paused\.test\.ts/);
    const still = start(['--no-pauses', 'is-paused'], { SEED: '3', PAUSE_PATIENCE_MS: '3000' });
    expect((await still.exited).code, still.output).toBe(1);
    const [, log = ''] = /output: (.*)/.exec(still.stdout) ?? [];
    await rm(join(repositoryRoot, log, '..'), { recursive: true });
  });

  test.each([
    [['--rounds', '0'], '--rounds must be a whole number from 1'],
    [['no-such-file'], 'no test file is called no-such-file'],
  ])('refuses %j', async (args, message) => {
    const run = start(args);
    expect((await run.exited).code).toBe(1);
    expect(run.stderr).toContain(message);
  });
});

test('every file runs once a round, each round with its seed and in its order', () => {
  const files = Array.from({ length: 30 }, (_, index) => index);
  const options = { roundCount: 2, seed: 7, workerCount: 2 };
  const batches = [...batchesOf(files, options)];
  const rounds = [1, 2].map((round) => batches.filter((batch) => batch.round === round));
  for (const [index, round] of rounds.entries()) {
    expect(round.map((batch) => batch.files.length)).toEqual([12, 12, 6]);
    expect(new Set(round.flatMap((batch) => batch.files))).toEqual(new Set(files));
    expect(new Set(round.map(({ seed }) => seed))).toEqual(new Set([index + 7]));
  }
  expect(rounds[0]?.flatMap((batch) => batch.files)).not.toEqual(rounds[1]?.flatMap((batch) => batch.files));
  expect([...batchesOf(files, options)]).toEqual(batches);
});

test('few files are spread over the workers', () => {
  const sizes = (count: number): number[] =>
    [...batchesOf(Array.from({ length: count }), { roundCount: 1, seed: 1, workerCount: 4 })].map(
      (batch) => batch.files.length,
    );
  expect(sizes(1)).toEqual([1]);
  expect(sizes(10)).toEqual([3, 3, 3, 1]);
});

test('files that stop processes share no batch with other files', () => {
  const files = Array.from({ length: 30 }, (_, index) => index);
  const isApart = (file: number): boolean => file % 10 === 0;
  const batches = [...batchesOf(files, { roundCount: 1, seed: 7, workerCount: 2, isApart })];
  expect(batches.map((batch) => new Set(batch.files.map(isApart)).size)).toEqual(batches.map(() => 1));
  expect(batches.flatMap((batch) => batch.files).toSorted((a, b) => a - b)).toEqual(files);
});

test('work stops taking tasks once it is aborted', async () => {
  const stopping = new AbortController();
  const taken: number[] = [];
  await work([1, 2, 3, 4][Symbol.iterator](), 2, stopping.signal, async (task) => {
    taken.push(task);
    if (task === 2) stopping.abort();
  });
  expect(taken).toEqual([1, 2]);
});

test('a name is a package, or else a part of the names of files', () => {
  const names = ['cli/test/log.test.ts', 'client-s3/test/config.test.ts', 'core/test/store.test.ts'];
  const files = names.map((name) => ({ folder: '/', name, path: `/${name}`, sendsStop: false }));
  const found = (...asked: string[]): string[] => matching(files, asked).map(({ name }) => name);
  expect(found()).toEqual(names);
  expect(found('cli')).toEqual([names[0]]);
  expect(found('s3', 'store')).toEqual([names[1], names[2]]);
  expect(found('nothing')).toEqual([]);
});

test('the report groups by file and test, the most frequent first', () => {
  const outcome = (name: string, seed: number, ...tests: string[]): Outcome => ({
    file: { folder: '/', name, path: `/${name}`, sendsStop: false },
    round: seed,
    seed,
    durationMs: 1000,
    failures: tests.map((test) => ({ test, message: `Error: ${test}\n    at somewhere` })),
    ...(tests.length > 0 && { logPath: `/root/.cache/${seed}.log` }),
  });
  const outcomes = [outcome('a', 1, 'x'), outcome('b', 1, 'y'), outcome('a', 2), outcome('b', 2, 'y', 'z')];
  expect(failureLines(outcomes, '/root').join('\n')).toMatchInlineSnapshot(`
    "
    b: 2 of 2 runs failed
      y: 2 of 2, SEED=1 SEED=2
        Error: y
      z: 1 of 2, SEED=2
        Error: z
      output: .cache/1.log
      again:  SEED=1 npm run test:stress -- --rounds 1 b
      output: .cache/2.log
      again:  SEED=2 npm run test:stress -- --rounds 1 b

    a: 1 of 2 runs failed
      x: 1 of 2, SEED=1
        Error: x
      output: .cache/1.log
      again:  SEED=1 npm run test:stress -- --rounds 1 a"
  `);
  expect(summaryLine(outcomes, 4, 61_000)).toBe('4 runs of test files in 61.0 s: 3 failed');
  expect(summaryLine(outcomes, 8, 61_000)).toBe('4 of 8 runs of test files in 61.0 s: 3 failed');
});

/** One worker and one busy process, over the tests of the fixture. */
function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  const folder = join(repositoryRoot, 'tests', 'stress');
  const fixed = [join(folder, 'run.ts'), '--folder', join(folder, 'fixture'), '--workers', '1', '--load', '1'];
  const run = new Child('stress', process.execPath, [...fixed, ...args], { env: { ...process.env, ...env } });
  onTestFinished(() => run.kill());
  return run;
}

function loadOf(output: string): number[] {
  const [, pids = ''] = /load: processes ([\d ]+)/.exec(output) ?? [];
  return pids.split(' ').map(Number);
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
