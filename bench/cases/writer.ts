import { statSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Child } from '../../tests/support/child.ts';
import type { Program } from '../../tests/support/programs.ts';
import { fileUrl } from '../../tests/support/programs.ts';
import { repositoryRoot } from '../../tests/support/repository.ts';
import { until } from '../../tests/support/wait.ts';
import type { BenchCase, Row } from '../lib/case.ts';
import { alternate, settleDisk } from '../lib/cost.ts';
import { Orders } from '../lib/database.ts';
import { cpuMsOf } from '../lib/proc.ts';
import { filesOf } from '../lib/replicas.ts';

interface Written {
  readonly perSecond: number;
  /** Most bytes the log had. */
  readonly walSizeMax: number;
  /** CPU of the program beside the writer, as a share of one core. */
  readonly cpuShare: number;
}

const walSampleMs = 20;

export const writer: BenchCase = {
  name: 'writer',
  about: 'a writer at full speed, 10 rows a commit, alone and beside each program',
  async run({ options, folder, go, ours, log }): Promise<readonly Row[]> {
    const seconds = Math.min(15, options.seconds);
    const writeBeside = (program: Program | undefined) => (): Promise<Written> => writes(folder, seconds, program);
    const results = await alternate(
      options.roundCount,
      { other: writeBeside(undefined), go: writeBeside(go), ours: writeBeside(ours) },
      (name, _round, { perSecond, walSizeMax, cpuShare }) => {
        const who = name === 'other' ? 'alone' : `beside ${name}`;
        log(
          `${who}: ${perSecond.toFixed(0)} commits/s, WAL ${(walSizeMax / 1e6).toFixed(0)} MB, CPU ${(cpuShare * 100).toFixed(0)} %`,
        );
      },
    );
    const work = 'writer at full speed, 10 rows a commit';
    const perSecond = (of: readonly Written[]): number[] => of.map((written) => written.perSecond);
    const walSize = (of: readonly Written[]): number[] => of.map(({ walSizeMax }) => walSizeMax / 1e6);
    const cpu = (of: readonly Written[]): number[] => of.map(({ cpuShare }) => cpuShare * 100);
    return [
      {
        work,
        measure: 'commits',
        unit: '/s',
        go: perSecond(results.go),
        other: perSecond(results.other),
        otherName: 'alone',
        ours: perSecond(results.ours),
        targets: [{ of: 'ours/other', min: 0.75 }],
      },
      {
        work,
        measure: 'largest WAL',
        unit: 'MB',
        go: walSize(results.go),
        other: walSize(results.other),
        otherName: 'alone',
        ours: walSize(results.ours),
        targets: [{ of: 'ours', max: 142 }],
      },
      { work, measure: 'CPU of the program beside it', unit: '%', go: cpu(results.go), ours: cpu(results.ours) },
    ];
  },
};

async function writes(folder: string, seconds: number, program: Program | undefined): Promise<Written> {
  const run = join(folder, 'written');
  await rm(run, { recursive: true, force: true });
  await settleDisk(folder);
  const path = join(run, 'app.db');
  const replica = join(run, 'replica');
  await startDatabase(run, path);
  await using daemon = program?.start('replicate', path, fileUrl(replica));
  if (daemon !== undefined) {
    await until('the first file on the replica', async () => (await filesOf(replica, 0)).length > 0, {
      failed: () => (daemon.exit === undefined ? undefined : daemon.output),
    });
  }
  const cpuBeforeMs = daemon === undefined ? 0 : cpuMsOf(daemon.pid);
  let walSizeMax = 0;
  const timer = setInterval(() => {
    walSizeMax = Math.max(walSizeMax, statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0);
  }, walSampleMs);
  try {
    const script = join(repositoryRoot, 'bench', 'children', 'writer.ts');
    const child = await new Child('writer', process.execPath, ['--no-warnings', script, path, String(seconds)]).done();
    const { perSecond } = JSON.parse(child.stdout) as { perSecond: number };
    const cpuMs = daemon === undefined ? 0 : cpuMsOf(daemon.pid) - cpuBeforeMs;
    return { perSecond, walSizeMax, cpuShare: cpuMs / (seconds * 1000) };
  } finally {
    clearInterval(timer);
    await daemon?.stop();
    await rm(run, { recursive: true, force: true });
  }
}

async function startDatabase(folder: string, path: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const orders = new Orders(path);
  orders.add(1000);
  orders.close();
}
