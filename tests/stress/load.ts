/** Work beside the tests: processes that spin, and one that writes to the disk. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface LoadOptions {
  /** Processes that spin; with none there is no load on the disk either. */
  readonly busyCount: number;
  /** Where to write. */
  readonly folder: string;
  /** Called if a process of the load ends by itself. */
  readonly onEnd: (error: Error) => void;
}

export interface Load extends AsyncDisposable {
  readonly pids: readonly number[];
}

/** Starts the load. Its processes end with the scope, or by themselves when this process is gone, killed or not. */
export function startLoad({ busyCount, folder, onEnd }: LoadOptions): Load {
  const processes = busyCount === 0 ? [] : [start('disk-load.ts', folder)];
  for (let i = 0; i < busyCount; i += 1) processes.push(start('cpu-load.ts'));
  const ended = (code: number | null, signal: string | null): void => {
    onEnd(new Error(`the load ended by itself (${code ?? signal})`));
  };
  for (const child of processes) child.once('exit', ended);
  return {
    pids: processes.map(({ pid }) => pid ?? 0),
    async [Symbol.asyncDispose]() {
      await Promise.all(
        processes.map(async (child) => {
          child.off('exit', ended);
          if (child.exitCode !== null || child.signalCode !== null) return;
          const exited = once(child, 'exit');
          child.kill('SIGKILL');
          await exited;
        }),
      );
    },
  };
}

/** The channel is what tells a process of the load that its parent is gone. */
function start(program: string, ...args: string[]): ChildProcess {
  const path = fileURLToPath(new URL(program, import.meta.url));
  return spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}
