/**
 * Litestream in Go, `cp` and ours side by side: `npm run bench -- [CASE ...] [--size 256MB] [--rounds 3] [--seconds 60]`.
 * Every figure of a table is of one run on one machine; docs/reports/benchmarks.md tells how to read it. Linux only.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { goProgram, tsProgram } from '../tests/support/programs.ts';
import { cacheFolder } from '../tests/support/repository.ts';
import { compaction } from './cases/compaction.ts';
import { eventLoop } from './cases/event-loop.ts';
import { firstReplication } from './cases/first-replication.ts';
import { idle } from './cases/idle.ts';
import { latency } from './cases/latency.ts';
import { many } from './cases/many.ts';
import { restore, restoreMany } from './cases/restore.ts';
import { restoreS3 } from './cases/restore-s3.ts';
import { writer } from './cases/writer.ts';
import type { BenchCase, Row } from './lib/case.ts';
import { describeMachine, machineFacts } from './lib/machine.ts';
import { parseOptions } from './lib/options.ts';
import { markdownTable } from './lib/report.ts';

const cases: readonly BenchCase[] = [
  restore,
  restoreMany,
  restoreS3,
  firstReplication,
  compaction,
  latency,
  writer,
  eventLoop,
  idle,
  many,
];

if (process.platform !== 'linux') throw new Error('the bench reads /proc: it runs on Linux only');
const options = parseOptions(process.argv.slice(2));
const unknown = options.cases.filter((name) => !cases.some((known) => known.name === name));
if (unknown.length > 0) {
  const known = cases.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`).join('\n');
  throw new Error(`no such case: ${unknown.join(', ')}. There are:\n${known}`);
}
const selected = options.cases.length === 0 ? cases : cases.filter(({ name }) => options.cases.includes(name));

const cache = await cacheFolder('bench');
const folder = join(cache, `run-${process.pid}`);
await mkdir(folder, { recursive: true });
const machine = await machineFacts(folder);
console.log(describeMachine(machine));
const context = { options, go: await goProgram(), ours: tsProgram(), cache, folder, log: say };
const rows: Row[] = [];
const failures: { readonly name: string; readonly error: unknown }[] = [];
try {
  for (const selectedCase of selected) {
    const { name, about } = selectedCase;
    console.log(`\n${name}: ${about}`);
    try {
      rows.push(...(await selectedCase.run(context)));
    } catch (error) {
      // The other cases are still worth knowing; the run as a whole has failed.
      console.error(error);
      failures.push({ name, error });
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

const table = markdownTable(rows);
console.log(`\n${table}`);
const out = options.out ?? join(cache, 'results', new Date().toISOString().replaceAll(':', '-'));
await mkdir(dirname(out), { recursive: true });
const { size, roundCount, seconds, databaseCount } = options;
const facts = { at: new Date().toISOString(), machine, size, roundCount, seconds, databaseCount };
await writeFile(`${out}.json`, `${JSON.stringify({ ...facts, rows }, undefined, 2)}\n`);
await writeFile(`${out}.md`, `${describeMachine(machine)}\n\n${table}\n`);
console.log(`\nEvery sample: ${out}.json`);
for (const { name } of failures) console.error(`${name} failed, see above`);
process.exitCode = failures.length === 0 ? 0 : 1;

function say(text: string): void {
  console.log(`  ${text}`);
}
