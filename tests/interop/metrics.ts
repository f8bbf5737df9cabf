/** `/metrics` of both daemons on the same work: each metric of Go's is there with its type, its labels and their values. */
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ChainWriter } from '../support/chain-writer.ts';
import { goVersion } from '../support/go-litestream.ts';
import type { Program } from '../support/programs.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/wait.ts';
import type { InteropCase, InteropContext } from './case.ts';

/** Metric → its type, and the label sets of its samples, with `DIR` for the folder of the daemon. */
type Metrics = ReadonlyMap<string, { readonly type: string; readonly labels: ReadonlySet<string> }>;

/** Upstream's name of a metric that has other label values here, and why. */
const VALUES_DIFFER: Readonly<Record<string, string>> = {
  litestream_l0_retention_files_total: 'Go names a database by its file name alone',
};

/** What has to be there before the two are compared: the last of all to come. */
const LAST = [
  'litestream_checkpoint_count',
  'litestream_l0_retention_files_total',
  'litestream_txid',
  ...(goVersion === '0.5.17' ? [] : ['litestream_last_validation_success_timestamp_seconds']),
];

export const metrics: InteropCase = {
  name: "metrics: Go's names, types and labels",
  async run(context) {
    const [go, ts] = await Promise.all([metricsOf(context, context.go), metricsOf(context, context.ts)]);
    const differences: string[] = [];
    for (const [name, { type, labels }] of go) {
      const ours = ts.get(name);
      if (ours === undefined) {
        differences.push(`${name} is missing`);
        continue;
      }
      if (ours.type !== type) differences.push(`${name} is a ${ours.type}, Go's a ${type}`);
      const of = (values: ReadonlySet<string>): readonly string[] =>
        name in VALUES_DIFFER ? [...values].map((each) => each.replace(/db="[^"]*"/, 'db=""')) : [...values];
      const known = new Set(of(ours.labels));
      for (const each of of(labels)) if (!known.has(each)) differences.push(`${name}${each} is missing`);
    }
    if (differences.length > 0) throw new Error(`${differences.length} differences:\n${differences.join('\n')}`);
    if (go.size < 10) throw new Error(`Go shows only ${go.size} metrics`);
    return `${go.size} metrics of Go's`;
  },
};

async function metricsOf({ folder }: InteropContext, program: Program): Promise<Metrics> {
  const place = join(folder, program.name);
  await mkdir(place);
  const port = await freePort();
  const config = join(place, 'litestream.yml');
  await writeFile(
    config,
    `addr: "127.0.0.1:${port}"
levels: [{interval: 1s}]
validation: {interval: 1s}
l0-retention: 100ms
l0-retention-check-interval: 200ms
dbs:
  - {path: ${place}/a.db, min-checkpoint-page-count: 1, replica: {type: file, path: ${place}/ra}}
  - {path: ${place}/b.db, replica: {type: file, path: ${place}/rb}}
`,
  );
  using writer = new ChainWriter(join(place, 'a.db'), new Random(1));
  using other = new ChainWriter(join(place, 'b.db'), new Random(2));
  writer.transaction(2);
  other.transaction(2);
  await using daemon = program.replicate(config);
  let seen: Metrics = new Map();
  await until(
    `${LAST.join(', ')} of ${program.name}`,
    async () => {
      writer.transaction(2);
      seen = parse(await pageOf(port), place);
      return LAST.every((name) => (seen.get(name)?.labels.size ?? 0) > 0);
    },
    { timeoutMs: 60_000, intervalMs: 200, failed: () => (daemon.exit === undefined ? undefined : daemon.output) },
  );
  return seen;
}

/** Nothing while nobody listens yet. */
async function pageOf(port: number): Promise<string> {
  try {
    return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  } catch (error) {
    if (((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED') return '';
    throw error;
  }
}

/** Those of Litestream; a histogram's samples count for it, its buckets with their bounds. */
function parse(page: string, place: string): Metrics {
  const found = new Map<string, { readonly type: string; readonly labels: Set<string> }>();
  for (const line of page.split('\n')) {
    const [, name, type = ''] = /^# TYPE (litestream_\w+) (\w+)$/.exec(line) ?? [];
    if (name !== undefined) found.set(name, { type, labels: new Set() });
    const [, sample = '', labels = ''] = /^(litestream_\w+)(\{.*\})? \S+$/.exec(line) ?? [];
    const metric = found.get(sample) ?? found.get(sample.replace(/_(bucket|sum|count)$/, ''));
    metric?.labels.add(sorted(labels.replaceAll(place, 'DIR')));
  }
  return found;
}

/** Labels have no order of their own. */
function sorted(labels: string): string {
  return `{${(labels.match(/\w+="(?:[^"\\]|\\.)*"/g) ?? []).sort().join(',')}}`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
