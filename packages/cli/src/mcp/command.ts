/**
 * Runs a command of this program in a process of its own, as the tools of Litestream (Go) do: files that it opens and
 * closes do not affect the databases that are open here, and no shell ever sees an argument.
 */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { PROGRAM_PATH } from '../util/package-folder.ts';

/** Longer output, such as a long list of files, is cut. */
const OUTPUT_LENGTH_MAX = 1 << 20;
/** Commands that run at the same time; further ones wait. */
const RUNNING_MAX = 4;
const WAITING_MAX = 64;

export interface CommandResult {
  /** Undefined if a signal ended it. */
  readonly exitCode: number | undefined;
  /** The command's standard output. */
  readonly stdout: string;
  /** The command's standard error: warnings and errors. */
  readonly stderr: string;
}

export class CommandRunner {
  #free = RUNNING_MAX;
  /** Each call gives a slot to the request that waits. The oldest request is first. */
  readonly #waiting = new Set<() => void>();
  readonly #lifetime = new AbortController();

  /** Ends running commands. */
  close(): void {
    this.#lifetime.abort(new Error('litestream is stopping'));
  }

  /** Runs `litestream ARGS…`. Rejects with the reason of an aborted signal; the process is ended then. */
  async run(args: readonly string[], request: AbortSignal): Promise<CommandResult> {
    const signal = AbortSignal.any([request, this.#lifetime.signal]);
    await this.#takeSlot(signal);
    try {
      return await execute(args, signal);
    } finally {
      this.#releaseSlot();
    }
  }

  /** A request whose client disconnected leaves the queue at once: it must not block others. */
  async #takeSlot(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    if (this.#waiting.size >= WAITING_MAX) throw new Error('too many requests are waiting');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      this.#waiting.delete(resolve);
      reject(signal.reason);
    };
    this.#waiting.add(resolve);
    signal.addEventListener('abort', leave, { once: true });
    await promise;
    signal.removeEventListener('abort', leave);
  }

  #releaseSlot(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

function execute(args: readonly string[], signal: AbortSignal): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    // The log of the command is a part of the answer, so the log level of this process must not apply to it.
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

/** Collects the output of a stream. The returned function returns it. */
function collect(stream: Readable): () => string {
  let output = '';
  let isCut = false;
  stream.setEncoding('utf8').on('data', (text: string) => {
    if (output.length < OUTPUT_LENGTH_MAX) output += text;
    else isCut = true;
  });
  return () => (isCut ? `${output.slice(0, OUTPUT_LENGTH_MAX)}\n… the rest was left out\n` : output);
}
