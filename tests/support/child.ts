/** Child processes that cannot outlive the program that started them, with their output kept for the failure message. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<ChildProcess>();

// A vitest worker or a program that is interrupted must leave nothing behind.
process.on('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    killAll();
    process.exit(1);
  });
}

function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** Output beyond this is dropped from the front: a daemon in a loop must not fill the memory. */
const outputSizeMax = 4 << 20;

export class Child {
  readonly name: string;
  readonly exited: Promise<ChildExit>;
  readonly #process: ChildProcess;
  #stdout = '';
  #stderr = '';
  #exit: ChildExit | undefined;

  constructor(name: string, command: string, args: readonly string[], options: ChildOptions = {}) {
    this.name = name;
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    running.add(child);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-outputSizeMax);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-outputSizeMax);
    });
    this.exited = new Promise((resolve) => {
      const settle = (exit: ChildExit): void => {
        running.delete(child);
        this.#exit ??= exit;
        resolve(this.#exit);
      };
      child.once('close', (code, signal) => settle({ code, signal }));
      child.once('error', (error) => {
        this.#stderr += `${error.message}\n`;
        settle({ code: 127, signal: null });
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** How it ended; undefined while it runs. */
  get exit(): ChildExit | undefined {
    return this.#exit;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Both streams, for messages. */
  get output(): string {
    return `${this.#stdout}${this.#stderr}`;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#exit === undefined) this.#process.kill(signal);
  }

  /**
   * Asks it to end and waits; throws if it is still there after `timeoutMs` (and then kills it) or ended badly. Ended by
   * the signal itself, before it could listen for it, is no bad end with `early`.
   */
  async stop({ timeoutMs = 100_000, early = false }: { timeoutMs?: number; early?: boolean } = {}): Promise<void> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), timeoutMs);
    const exit = await this.exited;
    clearTimeout(timer);
    if (exit.code !== 0 && !(early && exit.signal === 'SIGTERM')) {
      throw new Error(`${this.name} ended with ${exit.code ?? exit.signal} when stopped:\n${tail(this.output)}`);
    }
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** For programs that end by themselves: waits, throws on a code other than 0. */
  async done(timeoutMs = 120_000): Promise<this> {
    const timer = setTimeout(() => this.signal('SIGKILL'), timeoutMs);
    const exit = await this.exited;
    clearTimeout(timer);
    if (exit.code !== 0) throw new Error(`${this.name} failed (${exit.code ?? exit.signal}):\n${tail(this.output)}`);
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** The last lines of an output, enough to see what went wrong. */
export function tail(text: string, lineCountMax = 40): string {
  return text.trimEnd().split('\n').slice(-lineCountMax).join('\n');
}
