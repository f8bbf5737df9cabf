import { watch } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LtxDecoder } from '@litestream/ltx';
import type { Program } from '../../tests/support/programs.ts';
import { fileUrl } from '../../tests/support/programs.ts';
import { pause, until } from '../../tests/support/wait.ts';
import type { BenchCase, Row } from '../lib/case.ts';
import { Orders } from '../lib/database.ts';
import { filesOf } from '../lib/replicas.ts';
import { percentile } from '../lib/statistics.ts';

const commitIntervalMs = 2000;
/** Longest that a commit may take to the replica. */
const timeoutMs = 30_000;

interface Commit {
  readonly mark: string;
  readonly returnedAt: number;
}

interface Followed {
  readonly latenciesMs: readonly number[];
  readonly fileCount: number;
}

export const latency: BenchCase = {
  name: 'latency',
  about: 'from the return of a commit to its file under its name on the replica, one commit every 2 s',
  async run({ options, folder, go, ours, log }): Promise<readonly Row[]> {
    const commitCount = Math.max(3, Math.round((options.seconds * 1000) / commitIntervalMs));
    // At the same time, on databases of their own, half an interval apart: what the machine does otherwise hits both.
    const [byGo, byUs] = await Promise.all([
      follow(join(folder, 'latency-go'), go, commitCount, 0),
      follow(join(folder, 'latency-ours'), ours, commitCount, commitIntervalMs / 2),
    ]);
    for (const [name, { latenciesMs, fileCount }] of [
      ['go', byGo],
      ['ours', byUs],
    ] as const) {
      log(
        `${name}: ${latenciesMs.length} commits in ${fileCount} files, ${latenciesMs.map((ms) => ms.toFixed(1)).join(' ')} ms`,
      );
    }
    const work = 'commit to replica, one commit every 2 s';
    const at = (measure: string, p: number, max?: number): Row => ({
      work,
      measure,
      unit: 'ms',
      go: [percentile(byGo.latenciesMs, p)],
      ours: [percentile(byUs.latenciesMs, p)],
      ...(max === undefined ? {} : { targets: [{ of: 'ours', max }] }),
    });
    const files: Row = {
      work,
      measure: 'files on the replica',
      unit: '',
      go: [byGo.fileCount],
      ours: [byUs.fileCount],
      targets: [{ of: 'ours/go', max: 1 }],
    };
    return [at('p50', 0.5, 10), at('p99', 0.99, 50), at('max', 1), files];
  },
};

async function follow(folder: string, program: Program, commitCount: number, delayMs: number): Promise<Followed> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'app.db');
  const replica = join(folder, 'replica');
  const orders = new Orders(path);
  orders.add(1000);
  orders.database.exec('CREATE TABLE marks (id INTEGER PRIMARY KEY, mark TEXT NOT NULL)');
  await using daemon = program.start('replicate', path, fileUrl(replica));
  const failed = (): string | undefined => (daemon.exit === undefined ? undefined : daemon.output);
  await until('the first file on the replica', async () => (await filesOf(replica, 0)).length > 0, { failed });
  const level0 = join(replica, 'ltx', '0');
  const arrivals = new Map<string, number>();
  using watcher = watchNames(level0, arrivals);
  await pause(commitIntervalMs + delayMs, 'what is measured lasts as long');

  const commits: Commit[] = [];
  for (let count = 0; count < commitCount; count += 1) {
    const mark = `mark-${count}-${'x'.repeat(8)}-${Math.random().toString(36).slice(2)}`;
    const before = watcher.count;
    orders.database.exec(`INSERT INTO marks (mark) VALUES ('${mark}')`);
    const returnedAt = performance.now();
    commits.push({ mark, returnedAt });
    await until('a commit on the replica', () => watcher.count > before, { timeoutMs, failed });
    await pause(Math.max(0, commitIntervalMs - (performance.now() - returnedAt)), 'what is measured lasts as long');
  }
  orders.database.close();
  await daemon.stop();
  const files = await filesOf(replica, 0);
  const latenciesMs = await latenciesOf(commits, level0, arrivals);
  await rm(folder, { recursive: true, force: true });
  return { latenciesMs, fileCount: files.length };
}

/** Notes when each name appeared. A file gets its name when it is whole. */
function watchNames(folder: string, arrivals: Map<string, number>): Disposable & { readonly count: number } {
  const watcher = watch(folder, (_event, name) => {
    if (name !== null && name.endsWith('.ltx') && !arrivals.has(name)) arrivals.set(name, performance.now());
  });
  return {
    get count() {
      return arrivals.size;
    },
    [Symbol.dispose]: () => watcher.close(),
  };
}

/** By content: the first file in whose pages a commit's mark stands is the one that brought it. */
async function latenciesOf(
  commits: readonly Commit[],
  folder: string,
  arrivals: ReadonlyMap<string, number>,
): Promise<readonly number[]> {
  const contents: { readonly at: number; readonly text: string }[] = [];
  for (const [name, at] of [...arrivals].sort(([, a], [, b]) => a - b)) {
    contents.push({ at, text: await pagesOf(join(folder, name)) });
  }
  return commits.map(({ mark, returnedAt }) => {
    const found = contents.find(({ text }) => text.includes(mark));
    if (found === undefined) throw new Error(`${mark} was committed, but is on no file of the replica`);
    return Math.max(0, found.at - returnedAt);
  });
}

async function pagesOf(path: string): Promise<string> {
  const bytes = await readFile(path);
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  const decoder = new LtxDecoder(source(), { file: path });
  const parts: string[] = [];
  for await (const { pages } of decoder.batches()) parts.push(Buffer.from(pages).toString('latin1'));
  await decoder.finish();
  return parts.join('');
}
