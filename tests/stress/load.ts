/** Load beside the tests: processes that use CPU time, one that writes to the disk, and one that pauses processes of the tests. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PauseMessage } from './pause-load.ts';

export interface LoadOptions {
  /** Processes that use CPU time; 0 means no load of any kind. */
  readonly busyCount: number;
  /** Whether the load pauses descendants of the processes that `pausing` names. */
  readonly hasPauses: boolean;
  readonly seed: number;
  /** Folder for the file of the disk load. */
  readonly folder: string;
  /** Called if a process of the load ends by itself. */
  readonly onEnd: (error: Error) => void;
}

export interface Load extends AsyncDisposable {
  readonly pids: readonly number[];
  /** Lets the load pause descendants of `pid`, until the end of the scope. */
  pausing(pid: number): Disposable;
}

/** Starts the load. Its processes end with the scope, or by themselves when this process is gone, killed or not. */
export function startLoad({ busyCount, hasPauses, seed, folder, onEnd }: LoadOptions): Load {
  const pauser = busyCount > 0 && hasPauses ? start('pause-load.ts', String(seed)) : undefined;
  const processes = busyCount === 0 ? [] : [start('disk-load.ts', folder)];
  for (let i = 0; i < busyCount; i += 1) processes.push(start('cpu-load.ts'));
  if (pauser !== undefined) processes.push(pauser);
  const ended = (code: number | null, signal: string | null): void => {
    onEnd(new Error(`the load ended by itself (${code ?? signal})`));
  };
  for (const child of processes) child.once('exit', ended);
  const tell = (message: PauseMessage): void => {
    if (pauser?.connected === true) pauser.send(message);
  };
  return {
    pids: processes.map(({ pid }) => pid ?? 0),
    pausing(pid) {
      tell({ pid, isPausable: true });
      return { [Symbol.dispose]: () => tell({ pid, isPausable: false }) };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(
        processes.map(async (child) => {
          child.off('exit', ended);
          if (child.exitCode !== null || child.signalCode !== null) return;
          const exited = once(child, 'exit');
          // Not killed: the process that pauses others continues them first.
          child.disconnect();
          await exited;
        }),
      );
    },
  };
}

/** A process of the load finds by its channel that its parent has ended. */
function start(program: string, ...args: string[]): ChildProcess {
  const path = fileURLToPath(new URL(program, import.meta.url));
  return spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}
