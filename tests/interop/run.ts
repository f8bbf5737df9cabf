/**
 * Litestream in Go and ours on the same databases and replicas: `npm run test:interop -- [WORD ...]`; with words, only
 * cases whose name holds one of them. `SEED` repeats a run, `GO_LITESTREAM_VERSION` chooses the other program. Exits with 1 unless everything passed.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { goVersion } from '../support/go-litestream.ts';
import { goProgram, tsProgram } from '../support/programs.ts';
import { Random, seedOf } from '../support/random.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { behind } from './behind.ts';
import type { InteropCase } from './case.ts';
import { metrics } from './metrics.ts';
import { proofAcrossPrograms } from './proof.ts';
import { replicaUrls } from './replica-urls.ts';
import { replicates } from './replicates.ts';
import { socket } from './socket.ts';
import { stopsUnderLoad } from './stops-under-load.ts';
import { takeOverWhileWriting, takeOverWithoutSnapshot } from './take-over.ts';
import { unseenRestart } from './unseen-restart.ts';

/** Two cores are what the smallest CI machine has. */
const parallelism = 2;

const cases: readonly InteropCase[] = [
  replicates({ by: 'go', pageSize: 4096, durationMs: 7000, levels: true, pointCount: 6 }),
  replicates({ by: 'ts', pageSize: 4096, durationMs: 7000, levels: true, pointCount: 6 }),
  takeOverWhileWriting,
  takeOverWithoutSnapshot,
  metrics,
  proofAcrossPrograms,
  replicaUrls,
  socket,
  unseenRestart('ts', 'go', 'killed'),
  unseenRestart('ts', 'go', 'stopped'),
  unseenRestart('go', 'ts', 'killed'),
  unseenRestart('go', 'ts', 'stopped'),
  stopsUnderLoad({ by: 'ts', stopCount: 4 }),
  behind('go', 'ts'),
  behind('ts', 'go'),
  behind('ts', 'ts'),
  replicates({ by: 'go', pageSize: 4096, durationMs: 1500, autoVacuum: 'full', pointCount: 5 }),
  replicates({ by: 'ts', pageSize: 4096, durationMs: 1500, autoVacuum: 'full', pointCount: 5 }),
  ...[512, 65536].map((pageSize) => replicates({ by: 'go', pageSize, durationMs: 1500, pointCount: 3 })),
  ...[512, 1024, 2048, 8192, 16384, 32768, 65536].map((pageSize) => {
    return replicates({ by: 'ts', pageSize, durationMs: 1500, pointCount: 3 });
  }),
];

interface Result {
  readonly name: string;
  readonly durationMs: number;
  readonly facts: string;
  readonly error?: unknown;
}

/**
 * Shows what upstream itself loses (docs/decisions/0007-take-over-from-litestream-go.md): runs when asked for by name, and fails; the last one
 * with 0.5.17 only.
 */
const upstreamsOwn: readonly InteropCase[] = [
  unseenRestart('go', 'go', 'killed'),
  unseenRestart('go', 'go', 'stopped'),
  stopsUnderLoad({ by: 'go', stopCount: 20 }),
];

const words = process.argv.slice(2);
const selected =
  words.length === 0
    ? cases
    : [...cases, ...upstreamsOwn].filter(({ name }) => words.some((word) => name.includes(word)));
if (selected.length === 0) throw new Error(`no case is called ${words.join(' or ')}`);
const seed = seedOf();
console.log(`interop with Litestream (Go) ${goVersion}: ${selected.length} cases, SEED=${seed}`);

const go = await goProgram();
const ts = tsProgram();
await using folder = await temporaryFolder('interop');
const startedAt = performance.now();
const results: Result[] = [];
const queue = selected.entries();
await Promise.all(
  Array.from({ length: parallelism }, async () => {
    for (const [index, { name, run }] of queue) {
      const path = join(folder.path, String(index));
      await mkdir(path);
      results[index] = await resultOf(name, () => run({ go, ts, folder: path, random: new Random(seed + index) }));
    }
  }),
);

const failed = results.filter((result) => result.error !== undefined);
const width = Math.max(...results.map((result) => result.name.length));
console.log('');
for (const { name, durationMs, facts, error } of results) {
  const seconds = `${(durationMs / 1000).toFixed(1)} s`.padStart(7);
  console.log(`${error === undefined ? 'pass' : 'FAIL'}  ${name.padEnd(width)}  ${seconds}  ${facts}`);
}
console.log(`\n${results.length - failed.length} of ${results.length} passed in ${seconds(startedAt)} (SEED=${seed})`);
for (const { name, error } of failed) {
  console.error(`\n${name}\n${error instanceof Error ? error.stack : String(error)}`);
}
process.exitCode = failed.length === 0 ? 0 : 1;

async function resultOf(name: string, run: () => Promise<string>): Promise<Result> {
  const startedAt = performance.now();
  try {
    const facts = await run();
    return { name, facts, durationMs: performance.now() - startedAt };
  } catch (error) {
    console.error(`FAIL  ${name}`);
    return { name, facts: '', durationMs: performance.now() - startedAt, error };
  }
}

function seconds(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
}
