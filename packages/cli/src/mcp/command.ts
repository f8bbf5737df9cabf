/**
 * Runs a command of this very program as a process of its own, as upstream's tools do: what it opens and closes cannot
 * disturb the databases that are open here, and no shell ever sees an argument.
 */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { PROGRAM_PATH } from '../program-path.ts';

/** More than anybody reads; a list of files that is longer is cut. */
const OUTPUT_LENGTH_MAX = 1 << 20;
/** Commands that run at the same time; further ones wait. */
const RUNNING_MAX = 4;
const WAITING_MAX = 64;

export interface CommandResult {
  /** Undefined if a signal ended it. */
  readonly exitCode: number | undefined;
  /** The command's standard output. */
  readonly stdout: string;
  /** And on standard error: warnings, and what went wrong. */
  readonly stderr: string;
}

export class CommandRunner {
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #lifetime = new AbortController();

  /** Ends what runs. */
  close(): void {
    this.#lifetime.abort(new Error('litestream is stopping'));
  }

  /** Runs `litestream ARGS…`. Rejects with the reason of an aborted signal; the process is ended then. */
  async run(args: readonly string[], request: AbortSignal): Promise<CommandResult> {
    const signal = AbortSignal.any([request, this.#lifetime.signal]);
    if (this.#waiting.length >= WAITING_MAX) throw new Error('too many requests are waiting');
    while (this.#running >= RUNNING_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    signal.throwIfAborted();
    this.#running += 1;
    try {
      return await execute(args, signal);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }
}

function execute(args: readonly string[], signal: AbortSignal): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    // Its log is its result here: the level that this process was started with is no business of who asks.
    const env = { ...process.env, LOG_LEVEL: '' };
    const child = spawn(process.execPath, [PROGRAM_PATH, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env, signal });
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    child.once('error', (error) => reject(signal.aborted ? signal.reason : error));
    child.once('close', (exitCode) => {
      resolve({ exitCode: exitCode ?? undefined, stdout: stdout(), stderr: stderr() });
    });
  });
}

/** Keeps what a stream says; returns a function that tells it. */
function collect(stream: Readable): () => string {
  let output = '';
  let isCut = false;
  stream.setEncoding('utf8').on('data', (text: string) => {
    if (output.length < OUTPUT_LENGTH_MAX) output += text;
    else isCut = true;
  });
  return () => (isCut ? `${output.slice(0, OUTPUT_LENGTH_MAX)}\n… the rest was left out\n` : output);
}
