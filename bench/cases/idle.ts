import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Program } from '../../tests/support/programs.ts';
import { pause, until } from '../../tests/support/wait.ts';
import type { BenchCase, Row } from '../lib/case.ts';
import { Orders } from '../lib/database.ts';
import { cpuMsOf, descriptorCountOf, memoryOf } from '../lib/proc.ts';
import { filesOf } from '../lib/replicas.ts';

interface Idle {
  /** Of one core, in percent. */
  readonly cpu: number;
  /** Bytes. */
  readonly memory: number;
  readonly descriptorCount: number;
}

/** From the last first upload to the measurement: start-up work settles. */
const settleMs = 10_000;
const startTimeoutMs = 120_000;
const rowCount = 20;

export const idle: BenchCase = {
  name: 'idle',
  about: 'one process that follows 500 databases nobody writes to',
  async run({ options, folder, go, ours, log }): Promise<readonly Row[]> {
    const samples = { go: [] as Idle[], ours: [] as Idle[] };
    for (const [name, program] of [
      ['go', go],
      ['ours', ours],
    ] as const) {
      const result = await watchIdle(join(folder, `idle-${name}`), program, options.databaseCount, options.seconds);
      const { cpu, memory, descriptorCount } = result;
      log(`${name}: CPU ${cpu.toFixed(2)} %, ${(memory / 1e6).toFixed(0)} MB, ${descriptorCount} descriptors`);
      samples[name].push(result);
    }
    const work = `${options.databaseCount} idle databases, ${options.seconds} s`;
    const row = (measure: string, unit: Row['unit'], of: (sample: Idle) => number, max: number): Row => ({
      work,
      measure,
      unit,
      go: samples.go.map(of),
      ours: samples.ours.map(of),
      targets: [{ of: 'ours', max }],
    });
    return [
      row('CPU of one core', '%', ({ cpu }) => cpu, 1),
      row('memory', 'MB', ({ memory }) => memory / 1e6, 200),
      row('descriptors a database', '', ({ descriptorCount }) => descriptorCount / options.databaseCount, 4),
    ];
  },
};

async function watchIdle(folder: string, program: Program, databaseCount: number, seconds: number): Promise<Idle> {
  await mkdir(folder, { recursive: true });
  const config: string[] = ['dbs:'];
  const replicas: string[] = [];
  for (let index = 0; index < databaseCount; index += 1) {
    const path = join(folder, `app-${index}.db`);
    const replica = join(folder, 'replicas', String(index));
    const orders = new Orders(path);
    orders.add(rowCount);
    orders.close();
    replicas.push(replica);
    config.push(`  - path: ${path}`, '    replica:', '      type: file', `      path: ${replica}`);
  }
  const configPath = join(folder, 'litestream.yml');
  await writeFile(configPath, `${config.join('\n')}\n`);
  await using daemon = program.replicate(configPath);
  const failed = (): string | undefined => (daemon.exit === undefined ? undefined : daemon.output);
  for (const replica of replicas) {
    await until('the first file of every database', async () => (await filesOf(replica, 0)).length > 0, {
      timeoutMs: startTimeoutMs,
      failed,
    });
  }
  await pause(settleMs, 'what is measured lasts as long');
  const cpuBeforeMs = cpuMsOf(daemon.pid);
  const startedAt = performance.now();
  await pause(seconds * 1000, 'what is measured lasts as long');
  const cpu = ((cpuMsOf(daemon.pid) - cpuBeforeMs) / (performance.now() - startedAt)) * 100;
  const memory = memoryOf(daemon.pid)?.now;
  if (memory === undefined) throw new Error(`${program.name} ended:\n${daemon.output}`);
  const descriptorCount = descriptorCountOf(daemon.pid);
  await daemon.stop();
  await rm(folder, { recursive: true, force: true });
  return { cpu, memory, descriptorCount };
}
