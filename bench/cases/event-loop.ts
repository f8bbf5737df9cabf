import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Child } from '../../tests/support/child.ts';
import { fileUrl } from '../../tests/support/programs.ts';
import { repositoryRoot } from '../../tests/support/repository.ts';
import { until } from '../../tests/support/wait.ts';
import type { BenchCase, Row } from '../lib/case.ts';
import { Orders } from '../lib/database.ts';

interface Delay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export const eventLoop: BenchCase = {
  name: 'event-loop',
  about: 'delay of the event loop of a program that replicates from inside itself, beside a writer at full speed',
  async run({ options, folder, log }): Promise<readonly Row[]> {
    const delays: Delay[] = [];
    for (let round = 0; round < options.roundCount; round += 1) {
      const delay = await delayBesideWriter(join(folder, 'embedded'), Math.min(15, options.seconds));
      log(`ours: p50 ${delay.p50Ms.toFixed(1)} ms, p99 ${delay.p99Ms.toFixed(1)} ms, max ${delay.maxMs.toFixed(1)} ms`);
      delays.push(delay);
    }
    const work = 'event loop beside a writer at full speed';
    return [
      { work, measure: 'delay p50', unit: 'ms', ours: delays.map(({ p50Ms }) => p50Ms) },
      {
        work,
        measure: 'delay p99',
        unit: 'ms',
        ours: delays.map(({ p99Ms }) => p99Ms),
        targets: [{ of: 'ours', max: 50 }],
      },
      { work, measure: 'delay max', unit: 'ms', ours: delays.map(({ maxMs }) => maxMs) },
    ];
  },
};

async function delayBesideWriter(folder: string, seconds: number): Promise<Delay> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'app.db');
  const orders = new Orders(path);
  orders.add(1000);
  orders.close();
  const children = join(repositoryRoot, 'bench', 'children');
  const node = (name: string, ...args: string[]): Child =>
    new Child(name, process.execPath, ['--no-warnings', join(children, `${name}.ts`), ...args]);
  await using embedded = node('embedded', path, fileUrl(join(folder, 'replica')));
  await until('the embedded program', () => embedded.stdout.includes('ready'), {
    failed: () => (embedded.exit === undefined ? undefined : embedded.output),
  });
  await node('writer', path, String(seconds)).done();
  await embedded.stop();
  const [, text = ''] = embedded.stdout.split('ready\n');
  await rm(folder, { recursive: true, force: true });
  return JSON.parse(text) as Delay;
}
