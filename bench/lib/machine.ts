/** What of this machine the figures depend on. */
import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

export interface Machine {
  readonly processor: string;
  readonly coreCount: number;
  readonly memory: number;
  readonly kernel: string;
  readonly fileSystem: string;
  readonly node: string;
  readonly sqlite: string;
  /** Load average of the last minute, at the start: above zero, others were at work too. */
  readonly loadAtStart: number;
}

export async function machineFacts(folder: string): Promise<Machine> {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    coreCount: availableParallelism(),
    memory: totalmem(),
    kernel: release(),
    fileSystem: await fileSystemOf(folder),
    node: process.versions.node,
    sqlite: process.versions['sqlite'] ?? 'unknown',
    loadAtStart: loadavg()[0] ?? 0,
  };
}

export function describeMachine(machine: Machine): string {
  const { processor, coreCount, memory, kernel, fileSystem, node, sqlite, loadAtStart } = machine;
  return (
    `${processor}, ${coreCount} cores, ${(memory / 2 ** 30).toFixed(0)} GiB, Linux ${kernel}, ${fileSystem}, ` +
    `Node ${node} with SQLite ${sqlite}, load at the start ${loadAtStart.toFixed(2)}`
  );
}

/** The type of the file system that holds a folder: that of the longest mount point before it. */
async function fileSystemOf(folder: string): Promise<string> {
  const { bavail, bsize } = await statfs(folder);
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const [, , type = 'unknown'] = mounts
    .filter(([, point]) => point !== undefined && (point === '/' || folder === point || folder.startsWith(`${point}/`)))
    .reduce((longest, mount) => ((mount[1]?.length ?? 0) >= (longest[1]?.length ?? 0) ? mount : longest), ['', '']);
  return `${type} with ${((bavail * bsize) / 1e9).toFixed(0)} GB free`;
}
