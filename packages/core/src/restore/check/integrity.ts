/**
 * SQLite's own check of a restored database, in a separate process. The check evaluates expressions of the database,
 * which are not trusted and may never end, and only the end of the process ends a running statement.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { LitestreamError } from '../../util/error.ts';
import { workerScript } from '../../own-files/worker-script.ts';
import type { WorkerScript } from '../../own-files/worker-script.ts';

export type IntegrityCheck = 'none' | 'quick' | 'full';

export interface IntegrityRequest {
  /** A `file:` URL that opens the database without locks and without making side files. */
  readonly url: string;
  readonly pragma: 'quick_check' | 'integrity_check';
  /** Bytes that the process may use beyond its use at the start. */
  readonly memory: number;
  /** Of the worker thread that watches this. */
  readonly memoryWatch: WorkerScript;
}

/** What a check may use before it is ended. */
export interface IntegrityLimits {
  /** Milliseconds. Default: ten minutes and one second for each MiB of the database. */
  readonly ms?: number | undefined;
  /** Bytes of memory. Default: 1 GiB. */
  readonly memory?: number | undefined;
}

/** Expressions of the database may ask for a gigabyte at a time. */
const MEMORY_MAX = 2 ** 30;

/** Ends the process of a check that uses too much memory. */
export const OUT_OF_MEMORY: NodeJS.Signals = 'SIGTERM';

export type IntegrityReply = { readonly rows: readonly string[] } | { readonly message: string };

/** Rejects with `DATABASE_INVALID`, with what SQLite found or which limit was reached. */
export async function checkIntegrity(
  path: string,
  mode: IntegrityCheck,
  signal?: AbortSignal,
  limits: IntegrityLimits = {},
): Promise<void> {
  if (mode === 'none') return;
  // No other process uses the file. Without `immutable`, SQLite would create -wal and -shm files for a database in WAL
  // mode.
  const url = `${pathToFileURL(path).href}?mode=ro&immutable=1`;
  const pragma = mode === 'quick' ? 'quick_check' : 'integrity_check';
  const { ms = await limitMsOf(path), memory = MEMORY_MAX } = limits;
  const memoryWatch = await workerScript('memory-watch');
  const reply = await ask({ url, pragma, memory, memoryWatch }, ms, signal);
  if ('rows' in reply && reply.rows.length === 1 && reply.rows[0] === 'ok') return;
  const found = 'rows' in reply ? reply.rows.slice(0, 3).join('; ') : reply.message;
  throw new LitestreamError(`post-restore integrity check failed: ${found}`, {
    code: 'DATABASE_INVALID',
    operation: 'restore',
    object: path,
    hint: 'The output was removed. Restore without the check to look at the database, or restore an earlier state.',
  });
}

/** Base time limit; each MiB of the database adds to it. A working disk is faster. */
const LIMIT_MS_MIN = 10 * 60_000;
const LIMIT_MS_PER_MIB = 1000;

async function limitMsOf(path: string): Promise<number> {
  return LIMIT_MS_MIN + ((await stat(path)).size / 2 ** 20) * LIMIT_MS_PER_MIB;
}

async function ask(
  request: IntegrityRequest,
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<IntegrityReply> {
  signal?.throwIfAborted();
  const child = startProcess(await workerScript('integrity'));
  const { promise, resolve, reject } = Promise.withResolvers<IntegrityReply>();
  const onAbort = (): void => reject(signal?.reason);
  const seconds = Math.round(limitMs / 1000);
  const timer = setTimeout(() => resolve({ message: `it was not done after ${seconds} s` }), limitMs);
  signal?.addEventListener('abort', onAbort, { once: true });
  child.once('message', (reply) => resolve(reply as IntegrityReply));
  child.once('error', reject);
  child.once('exit', (code, endedBy) => {
    if (endedBy === OUT_OF_MEMORY) resolve({ message: `it used more than ${request.memory / 2 ** 20} MiB of memory` });
    else reject(new Error(`the integrity check ended early, with ${endedBy ?? `code ${String(code)}`}`));
  });
  child.send(request, (error) => {
    if (error !== null) reject(error);
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    child.kill('SIGKILL');
  }
}

/** Node reads a script that is a text from its standard input. The check gets no environment variables: they may hold credentials. */
function startProcess(script: WorkerScript): ChildProcess {
  const isFile = 'path' in script;
  const args = ['--no-warnings', ...(isFile ? [script.path] : ['--input-type=commonjs', '-'])];
  const child = spawn(process.execPath, args, {
    env: {},
    stdio: [isFile ? 'ignore' : 'pipe', 'ignore', 'ignore', 'ipc'],
  });
  if (!isFile) {
    // A process that ends early reports that by its exit.
    child.stdin?.on('error', () => undefined).end(script.text);
  }
  return child;
}
