/** The real command as a process of its own. */
import { spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { until as waitUntil } from '../../../../tests/support/wait.ts';
import { removeFolder } from '../../../../tests/support/remove-folder.ts';

export { pause } from '../../../../tests/support/wait.ts';

export const BIN: string = fileURLToPath(new URL('../../bin/litestream.js', import.meta.url));

/** Lines of each stream. */
const EVIDENCE_LINES_MAX = 200;

export interface Result {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs as this user, where the tests run as root. */
  readonly uid?: number;
  /** The largest file that it may write, as `ulimit -f` sets it. */
  readonly fileSizeMaxKiB?: number;
}

export class Cli {
  readonly child: ChildProcess;
  readonly ended: Promise<Result>;
  #stdout = '';
  #stderr = '';
  #hasEnded = false;

  constructor(args: readonly string[], options: RunOptions = {}) {
    const { PATH, HOME, NODE_COMPILE_CACHE } = process.env;
    const env = { PATH, HOME, NODE_COMPILE_CACHE, LITESTREAM_CONFIG: '/does/not/exist.yml' };
    const identity: SpawnOptions = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
    // In POSIX, the unit is 512 bytes.
    const limit = options.fileSizeMaxKiB === undefined ? '' : `ulimit -f ${options.fileSizeMaxKiB * 2}; `;
    const command = [process.execPath, BIN, ...args];
    const [program = '', ...rest] = limit === '' ? command : ['sh', '-c', `${limit}exec "$0" "$@"`, ...command];
    this.child = spawn(program, rest, {
      cwd: options.cwd,
      env: { ...env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...identity,
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.ended = new Promise((resolve) => {
      this.child.once('close', (exitCode) => {
        this.#hasEnded = true;
        resolve({ exitCode, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  /** Whole lines: what is matched with is never the beginning of a line whose end is still on its way. */
  get stdout(): string {
    return this.#hasEnded ? this.#stdout : wholeLines(this.#stdout);
  }

  get stderr(): string {
    return this.#hasEnded ? this.#stderr : wholeLines(this.#stderr);
  }

  /** Resolves once standard output has this. */
  async said(pattern: string | RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<void> {
    await until(
      () => {
        // Looked at first: once it has ended, all that it said has arrived.
        const hasEnded = this.#hasEnded;
        const text = stream === 'stdout' ? this.stdout : this.stderr;
        if (typeof pattern === 'string' ? text.includes(pattern) : pattern.test(text)) return true;
        if (hasEnded) {
          throw new Error(`ended without saying ${String(pattern)}:\n${this.#stdout}\n${this.#stderr}`);
        }
        return false;
      },
      `${String(pattern)} in the output`,
    );
  }

  /** Helps to find out why a test failed: the last output, and what each thread waits for, if the system shows it. */
  get evidence(): string {
    const last = (text: string): string => text.split('\n').slice(-EVIDENCE_LINES_MAX).join('\n');
    const { pid, spawnargs, exitCode, signalCode } = this.child;
    const state = exitCode ?? signalCode ?? `runs\n${threadsOf(pid)}`;
    return `${spawnargs.slice(2).join(' ')}: ${state}\n${last(this.#stdout)}\n${last(this.#stderr)}`;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Result> {
    this.child.kill(signal);
    return this.ended;
  }

  /** Stops the process while `change` runs: the process sees the whole change, or nothing of it. */
  async asOneStep<T>(change: () => T | Promise<T>): Promise<T> {
    const isStill = (): boolean => this.child.kill('SIGSTOP') && isStopped(this.child.pid);
    try {
      await until(isStill, 'the process to stop');
      return await change();
    } finally {
      this.child.kill('SIGCONT');
    }
  }
}

/** Whether all threads of the process are stopped. Only Linux reports that. */
function isStopped(pid: number | undefined): boolean {
  if (process.platform !== 'linux') return true;
  const folder = `/proc/${pid}/task`;
  try {
    return readdirSync(folder).every((id) => /\) [Tt] /.test(readFileSync(join(folder, id, 'stat'), 'utf8')));
  } catch {
    // A thread, or the process, has just ended.
    return false;
  }
}

/** Whether a process that is no child of this one has ended. A zombie has ended, too. */
export function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform === 'linux' && /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH' || code === 'ENOENT') return true;
    throw error;
  }
}

/** Threads of a process, with the function of the kernel that each waits in (Linux). */
function threadsOf(pid: number | undefined): string {
  const folder = `/proc/${pid}/task`;
  try {
    return readdirSync(folder)
      .map((id) => {
        const [name, waiting] = ['comm', 'wchan'].map((file) => readFileSync(join(folder, id, file), 'utf8').trim());
        return `  thread ${id} ${name}: ${waiting}`;
      })
      .join('\n');
  } catch {
    return '';
  }
}

/** Starts the command; it is killed when the test ends. If the test fails, its output is printed. */
export function start(args: readonly string[], options: RunOptions = {}): Cli {
  const cli = new Cli(args, options);
  onTestFinished(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(cli.evidence);
    cli.child.kill('SIGKILL');
    await cli.ended;
  });
  return cli;
}

export function run(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  return start(args, options).ended;
}

/** A folder that is gone when the test ends. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'litestream-cli-'));
  // A program that a daemon had started with -exec may still be writing there if the test failed.
  onTestFinished(() => removeFolder(folder, { force: true }));
  return folder;
}

export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  await waitUntil(what, condition);
}

function wholeLines(text: string): string {
  return text.slice(0, text.lastIndexOf('\n') + 1);
}

/**
 * Log lines without their times, and without the lines of snapshots and compactions, which may come between any other lines.
 */
export function linesInOrder(log: string): string[] {
  return withoutTimes(log).filter((line) => !/ msg="(snapshot|compaction) complete"/.test(line));
}

/** Log lines without their times. */
export function withoutTimes(log: string): string[] {
  return log
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /, ''));
}
