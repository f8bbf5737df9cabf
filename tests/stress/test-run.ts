/** One test file in a vitest of its own. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Task } from './schedule.ts';
import { vitestProgram } from './test-files.ts';
import type { TestFile } from './test-files.ts';

export interface Failure {
  /** The full name of the test. */
  readonly test: string;
  readonly message: string;
}

export interface Outcome extends Task<TestFile> {
  readonly durationMs: number;
  /** None if the file passed. */
  readonly failures: readonly Failure[];
  /** Where the whole output is; only of what failed. */
  readonly logPath?: string;
}

export interface TestRunOptions {
  /** For files of this run. */
  readonly scratchFolder: string;
  /** For the output of runs that failed; created when there is one. */
  readonly logFolder: string;
  readonly signal: AbortSignal;
}

/** A file that has not ended by then hangs. */
const RUN_MS_MAX = 30 * 60_000;
/** Output beyond this is dropped from the front. */
const OUTPUT_SIZE_MAX = 16 << 20;

/** Runs one file. Undefined if `signal` aborted it. */
export async function testRun(task: Task<TestFile>, options: TestRunOptions): Promise<Outcome | undefined> {
  const label = `${task.file.name.replaceAll('/', '+')}.${task.seed}`;
  const reportPath = join(options.scratchFolder, `${label}.json`);
  const startedAt = performance.now();
  const { ending, output } = await vitest(task, reportPath, options.signal);
  if (options.signal.aborted) return undefined;
  const durationMs = performance.now() - startedAt;
  const failures = ending === 'passed' ? [] : await failuresOf(reportPath, ending);
  await rm(reportPath, { force: true });
  if (failures.length === 0) return { ...task, durationMs, failures };
  const logPath = join(options.logFolder, `${label}.log`);
  await mkdir(dirname(logPath), { recursive: true });
  await writeFile(logPath, output);
  return { ...task, durationMs, failures, logPath };
}

async function vitest(
  { file, seed }: Task<TestFile>,
  reportPath: string,
  signal: AbortSignal,
): Promise<{ readonly ending: string; readonly output: string }> {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`];
  const child = spawn(process.execPath, [vitestProgram, 'run', file.path, ...reporters], {
    cwd: file.folder,
    env: { ...process.env, SEED: String(seed) },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const kill = (): void => killGroup(child);
  const overdue = AbortSignal.timeout(RUN_MS_MAX);
  const stop = AbortSignal.any([signal, overdue]);
  stop.addEventListener('abort', kill, { once: true });
  if (stop.aborted) kill();
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_SIZE_MAX);
    });
  }
  const ending = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`cannot run vitest: ${error.message}`));
    // Not `close`: what a test left running may hold the streams open.
    child.once('exit', (code, killedBy) => {
      if (overdue.aborted) resolve(`still running after ${RUN_MS_MAX} ms`);
      else resolve(code === 0 ? 'passed' : `vitest ended with ${code ?? killedBy}`);
    });
  });
  stop.removeEventListener('abort', kill);
  kill();
  return { ending, output: stripVTControlCharacters(output) };
}

/** Vitest is the leader of a group that holds its workers and what the tests started. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

interface VitestReport {
  readonly testResults: readonly {
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** The tests that failed; or, where none did (a file that cannot be loaded, an error outside of tests), the run itself. */
async function failuresOf(reportPath: string, ending: string): Promise<Failure[]> {
  const report = await readFile(reportPath, 'utf8').then(
    (text) => JSON.parse(text) as VitestReport,
    (): VitestReport => ({ testResults: [] }),
  );
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const failures = tests
    .filter(({ status }) => status === 'failed')
    .map(({ fullName, failureMessages }) => ({ test: fullName, message: failureMessages.join('\n') }));
  if (failures.length > 0) return failures;
  const file = report.testResults.find(({ status, message }) => status === 'failed' && message !== '');
  return [{ test: '(outside of its tests)', message: file?.message ?? ending }];
}
