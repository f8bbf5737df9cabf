/** What Linux tells of processes under `/proc`. */
import { readdirSync, readFileSync } from 'node:fs';

/** Ticks a second in which `/proc` counts time: fixed in the kernel's interface. */
const ticksPerSecond = 100;

function statFields(pid: number | 'self'): readonly number[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name, in parentheses, may hold spaces; what follows it starts with field 3.
  return text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
}

/** CPU time of a running process, all its threads, in ms. */
export function cpuMsOf(pid: number): number {
  const fields = statFields(pid);
  return (((fields[11] ?? 0) + (fields[12] ?? 0)) * 1000) / ticksPerSecond;
}

/** CPU time of our children that have ended, and of theirs, in ms. */
export function cpuMsOfEndedChildren(): number {
  const fields = statFields('self');
  return (((fields[13] ?? 0) + (fields[14] ?? 0)) * 1000) / ticksPerSecond;
}

/** Memory of a process in bytes: now, and the most it ever was. Undefined once it has ended. */
export function memoryOf(pid: number): { readonly now: number; readonly max: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'latin1');
    const [, now] = /^VmRSS:\s+(\d+) kB/m.exec(text) ?? [];
    const [, max] = /^VmHWM:\s+(\d+) kB/m.exec(text) ?? [];
    if (now === undefined || max === undefined) return undefined; // a zombie
    return { now: Number(now) * 1024, max: Number(max) * 1024 };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Open descriptors of a process. */
export function descriptorCountOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ESRCH';
}
