/**
 * `node pause-load.ts SEED`: pauses random processes of the tests, one after the other, until its parent ends. A machine does the same
 * to a process that gets no CPU time, but seldom. The pauses soon reveal what a test guesses about the order of two processes.
 */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Random } from '../support/random.ts';

/** Message of the parent: descendants of `pid` may be paused from now on, or no longer. */
export interface PauseMessage {
  readonly pid: number;
  readonly isPausable: boolean;
}

const PAUSES_MS = [50, 100, 200, 400, 700, 1000] as const;
const GAP_MS_MAX = 150;

const execute = promisify(execFile);
const random = new Random(Number(process.argv[2]));
const roots = new Set<number>();
const ended = new AbortController();

process.on('message', ({ pid, isPausable }: PauseMessage) => {
  if (isPausable) roots.add(pid);
  else roots.delete(pid);
});
process.on('disconnect', () => ended.abort());
// Ctrl-C is for the parent, which then ends this process.
process.on('SIGINT', () => {});

while (!ended.signal.aborted) {
  await pass(random.between(0, GAP_MS_MAX));
  const pids = roots.size === 0 ? [] : await runningBelow(roots);
  if (pids.length > 0) await pause(random.pick(pids), random.pick(PAUSES_MS));
}

async function pause(pid: number, durationMs: number): Promise<void> {
  if (!send(pid, 'SIGSTOP')) return;
  await pass(durationMs);
  send(pid, 'SIGCONT');
}

async function pass(durationMs: number): Promise<void> {
  await sleep(durationMs, undefined, { signal: ended.signal }).catch(() => undefined);
}

/** Returns false if there is no such process. */
function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

/** Descendants that are neither stopped nor zombies. */
async function runningBelow(ancestors: ReadonlySet<number>): Promise<number[]> {
  const { stdout } = await execute('ps', ['-A', '-o', 'pid=,ppid=,stat=']);
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/));
  const children = Map.groupBy(rows, ([, parent]) => Number(parent));
  const found: number[] = [];
  const todo = [...ancestors];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    for (const [pid, , state = 'Z'] of children.get(next) ?? []) {
      todo.push(Number(pid));
      if (!/^[TtZ]/.test(state)) found.push(Number(pid));
    }
  }
  return found;
}
