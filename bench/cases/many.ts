/** A folder of databases under one process: how long until all of them are safe, at first, again, and as they come. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Child } from '../../tests/support/child.ts';
import type { Program } from '../../tests/support/programs.ts';
import { pause, until } from '../../tests/support/wait.ts';
import type { BenchCase, Row } from '../lib/case.ts';
import { alternate } from '../lib/cost.ts';
import { Orders } from '../lib/database.ts';
import { cpuMsOf, descriptorCountOf, memoryOf } from '../lib/proc.ts';

interface Phase {
  readonly wallMs: number;
  readonly cpuMs: number;
}

interface Result {
  /** Every database has its first file on the replica, from the start of the process. */
  readonly first: Phase;
  /** Databases that are created while it runs, from the creation of the last one. */
  readonly created: Phase;
  /** What was committed while it was down is on the replica, from the start of the process. */
  readonly again: Phase;
  /** Bytes, some seconds after the first start: now, and the most it ever was. */
  readonly memory: number;
  readonly memoryMax: number;
  readonly descriptorCount: number;
}

/** Few: it is about what every database costs, whatever is in it. */
const rowCount = 20;
const settleMs = 5_000;
const timeoutMs = 300_000;

export const many: BenchCase = {
  name: 'many',
  about: 'a watched folder of databases: first start, new ones, restart',
  async run({ options, folder, go, ours, log }): Promise<readonly Row[]> {
    const { databaseCount } = options;
    const createdCount = Math.max(1, Math.round(databaseCount / 5));
    const run = (name: string, program: Program) => (round: number) =>
      watchMany(join(folder, `many-${name}-${round}`), program, { databaseCount, createdCount });
    const results = await alternate(
      options.roundCount,
      { go: run('go', go), ours: run('ours', ours) },
      (name, round, result) => {
        const { first, created, again, memory, memoryMax, descriptorCount } = result;
        const phase = ({ wallMs, cpuMs }: Phase): string =>
          `${(wallMs / 1000).toFixed(2)} s (CPU ${(cpuMs / 1000).toFixed(2)} s)`;
        log(
          `round ${round + 1}, ${name}: first ${phase(first)}, ${createdCount} created ${phase(created)}, ` +
            `again ${phase(again)}, ${megabytes(memory)} now, ${megabytes(memoryMax)} at most, ` +
            `${descriptorCount} descriptors`,
        );
      },
    );
    const row = (
      work: string,
      measure: string,
      unit: Row['unit'],
      of: (result: Result) => number,
      targets: Row['targets'] = [],
    ): Row => ({ work, measure, unit, go: results.go.map(of), ours: results.ours.map(of), targets });
    const phaseRows = (work: string, of: (result: Result) => Phase, targets: Row['targets'] = []): readonly Row[] => [
      row(work, 'wall', 's', (result) => of(result).wallMs / 1000, targets),
      row(work, 'CPU', 's', (result) => of(result).cpuMs / 1000),
    ];
    return [
      ...phaseRows(`${databaseCount} databases, first start`, ({ first }) => first, [{ of: 'ours', max: 10 }]),
      ...phaseRows(`${createdCount} created beside them`, ({ created }) => created, [{ of: 'ours', max: 5 }]),
      ...phaseRows(`${databaseCount + createdCount} databases, restart`, ({ again }) => again, [
        { of: 'ours', max: 10 },
      ]),
      row(`${databaseCount} databases at rest`, 'memory', 'MB', ({ memory }) => memory / 1e6, [
        { of: 'ours', max: 200 },
      ]),
      row('the same', 'memory at most', 'MB', ({ memoryMax }) => memoryMax / 1e6),
      row('the same', 'descriptors a database', '', ({ descriptorCount }) => descriptorCount / databaseCount, [
        { of: 'ours', max: 4 },
      ]),
    ];
  },
};

async function watchMany(
  folder: string,
  program: Program,
  { databaseCount, createdCount }: { readonly databaseCount: number; readonly createdCount: number },
): Promise<Result> {
  const databases = join(folder, 'dbs');
  const replica = join(folder, 'replica');
  await mkdir(databases, { recursive: true });
  const config = join(folder, 'litestream.yml');
  const lines = [
    'dbs:',
    `  - {dir: ${databases}, pattern: "*.db", watch: true, replica: {type: file, path: ${replica}}}`,
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  const early = names('app', databaseCount);
  for (const name of early) createDatabase(join(databases, name));

  const result: Omit<Result, 'again'> = await (async () => {
    await using daemon = program.replicate(config);
    const first = await phase(daemon, () => haveAll(replica, early, 1));
    await pause(settleMs, 'what is measured lasts as long');
    const memory = memoryOf(daemon.pid);
    if (memory === undefined) throw new Error(`${program.name} ended:\n${daemon.output}`);
    const descriptorCount = descriptorCountOf(daemon.pid);
    const late = names('new', createdCount);
    for (const name of late) createDatabase(join(databases, name));
    const created = await phase(daemon, () => haveAll(replica, late, 1));
    await daemon.stop({ timeoutMs });
    return { first, created, memory: memory.now, memoryMax: memory.max, descriptorCount };
  })();

  const all = [...early, ...names('new', createdCount)];
  const before = await Promise.all(all.map((name) => endOf(replica, name)));
  for (const name of all) addRow(join(databases, name));
  await using daemon = program.replicate(config);
  const again = await phase(daemon, async () => {
    const ends = await Promise.all(all.map((name) => endOf(replica, name)));
    return ends.every((end, index) => end > (before[index] ?? ''));
  });
  await daemon.stop({ timeoutMs });
  await rm(folder, { recursive: true, force: true });
  return { ...result, again };
}

/** From now until the condition holds; CPU time from the start of the process if it was only just started. */
async function phase(daemon: Child, condition: () => Promise<boolean>): Promise<Phase> {
  const cpuBeforeMs = cpuMsOf(daemon.pid);
  const startedAt = performance.now();
  const failed = (): string | undefined => (daemon.exit === undefined ? undefined : daemon.output);
  await until('every database on its replica', condition, { timeoutMs, intervalMs: 100, failed });
  return { wallMs: performance.now() - startedAt, cpuMs: cpuMsOf(daemon.pid) - cpuBeforeMs };
}

function names(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}.db`);
}

function createDatabase(path: string): void {
  const orders = new Orders(path);
  orders.add(rowCount);
  orders.close();
}

function addRow(path: string): void {
  const orders = new Orders(path);
  orders.add(1);
  orders.close();
}

async function haveAll(replica: string, all: readonly string[], fileCount: number): Promise<boolean> {
  for (const name of all) if ((await level0Of(replica, name)).length < fileCount) return false;
  return true;
}

/** Name of the newest level-0 file; names sort as their transactions do. */
async function endOf(replica: string, name: string): Promise<string> {
  return (await level0Of(replica, name)).sort().at(-1) ?? '';
}

async function level0Of(replica: string, name: string): Promise<string[]> {
  try {
    const files = await readdir(join(replica, name, 'ltx', '0'));
    return files.filter((file) => file.endsWith('.ltx'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function megabytes(size: number): string {
  return `${(size / 1e6).toFixed(0)} MB`;
}
