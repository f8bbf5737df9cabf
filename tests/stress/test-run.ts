/** Runs a batch of test files in its own vitest, one after the other, each in its own process. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Load } from './load.ts';
import type { Batch } from './schedule.ts';
import { vitestProgram } from './test-files.ts';
import type { TestFile } from './test-files.ts';

export interface Failure {
  /** The full name of the test. */
  readonly test: string;
  readonly message: string;
}

export interface Outcome {
  readonly file: TestFile;
  readonly round: number;
  readonly seed: number;
  readonly durationMs: number;
  /** Empty if the file passed. */
  readonly failures: readonly Failure[];
  /** File with the output of its batch; only if the file failed. */
  readonly logPath?: string;
}

export interface TestRunOptions {
  /** For files of this run. */
  readonly scratchFolder: string;
  /** For the output of failed runs; created at the first one. */
  readonly logFolder: string;
  readonly signal: AbortSignal;
  readonly load: Pick<Load, 'pausing'>;
}

/** A batch hangs if it runs longer than this for each of its files. */
const FILE_MS_MAX = 30 * 60_000;
/** If there is more output than this, the beginning is dropped. */
const OUTPUT_SIZE_MAX = 16 << 20;

let runCount = 0;

/** Runs the files of a batch. Undefined if `signal` aborted it. */
export async function testRun(batch: Batch<TestFile>, options: TestRunOptions): Promise<Outcome[] | undefined> {
  const label = `${batch.seed}.${(runCount += 1)}`;
  const reportPath = join(options.scratchFolder, `${label}.json`);
  const { ending, output } = await vitest(batch, reportPath, options);
  if (options.signal.aborted) return undefined;
  const reports = await readReports(reportPath);
  await rm(reportPath, { force: true });
  const failures = failuresOf(batch, reports, ending);
  const { round, seed } = batch;
  const logPath = join(options.logFolder, `${label}.log`);
  if ([...failures.values()].some(({ length }) => length > 0)) {
    await mkdir(dirname(logPath), { recursive: true });
    await writeFile(logPath, output);
  }
  return batch.files.map((file) => {
    const own = failures.get(file) ?? [];
    const durationMs = durationOf(reports.find(({ name }) => name === file.path));
    return { file, round, seed, durationMs, failures: own, ...(own.length > 0 && { logPath }) };
  });
}

async function vitest(
  { files, seed }: Batch<TestFile>,
  reportPath: string,
  { signal, load }: TestRunOptions,
): Promise<{ readonly ending: string; readonly output: string }> {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`];
  const order = ['--maxWorkers=1', '--sequence.shuffle.files', `--sequence.seed=${seed}`];
  const paths = files.map(({ path }) => path);
  const child = spawn(process.execPath, [vitestProgram, 'run', ...paths, ...order, ...reporters], {
    cwd: files[0]?.folder,
    env: { ...process.env, SEED: String(seed) },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const kill = (): void => killGroup(child);
  const overdueMs = files.length * FILE_MS_MAX;
  const overdue = AbortSignal.timeout(overdueMs);
  const stop = AbortSignal.any([signal, overdue]);
  stop.addEventListener('abort', kill, { once: true });
  if (stop.aborted) kill();
  using pauses =
    files.some(({ sendsStop }) => sendsStop) || child.pid === undefined ? undefined : load.pausing(child.pid);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_SIZE_MAX);
    });
  }
  const ending = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`cannot run vitest: ${error.message}`));
    // Not `close`: a process that a test left running may hold the streams open.
    child.once('exit', (code, killedBy) => {
      if (overdue.aborted) resolve(`still running after ${overdueMs} ms`);
      else resolve(code === 0 ? 'passed' : `vitest ended with ${code ?? killedBy}`);
    });
  });
  pauses?.[Symbol.dispose]();
  stop.removeEventListener('abort', kill);
  kill();
  return { ending, output: stripVTControlCharacters(output) };
}

/** Vitest leads the process group of its workers and of the processes that the tests started. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

interface FileReport {
  /** Path. */
  readonly name: string;
  readonly status: string;
  readonly message: string;
  /** In milliseconds since 1970. */
  readonly startTime: number;
  readonly endTime: number;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[];
  }[];
}

async function readReports(path: string): Promise<readonly FileReport[]> {
  return readFile(path, 'utf8').then(
    (text) => (JSON.parse(text) as { readonly testResults: readonly FileReport[] }).testResults,
    () => [],
  );
}

function durationOf(report: FileReport | undefined): number {
  return report === undefined ? 0 : report.endTime - report.startTime;
}

/** If vitest failed and no file did (an error between tests, no report), any file may be the cause: all count as failed. */
function failuresOf(
  { files }: Batch<TestFile>,
  reports: readonly FileReport[],
  ending: string,
): Map<TestFile, readonly Failure[]> {
  const byPath = new Map(reports.map((report) => [report.name, report]));
  const failures = new Map(files.map((file) => [file, failuresOfFile(byPath.get(file.path), ending)]));
  if (ending === 'passed' || [...failures.values()].some(({ length }) => length > 0)) return failures;
  return new Map(files.map((file) => [file, [outsideOfTests(ending)]]));
}

/** The tests that failed; or, where none did (a file that cannot be loaded), the file itself. */
function failuresOfFile(report: FileReport | undefined, ending: string): readonly Failure[] {
  if (report === undefined) return [outsideOfTests(ending === 'passed' ? 'vitest did not run it' : ending)];
  if (report.status !== 'failed') return [];
  const failed = report.assertionResults.filter(({ status }) => status === 'failed');
  if (failed.length === 0) return [outsideOfTests(report.message === '' ? ending : report.message)];
  return failed.map(({ fullName, failureMessages }) => ({ test: fullName, message: failureMessages.join('\n') }));
}

function outsideOfTests(message: string): Failure {
  return { test: '(outside of its tests)', message };
}
