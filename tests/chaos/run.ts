/**
 * Tries to break Litestream: `npm run chaos -- [--minutes N | --rounds N] [--seed S] [--lives NAME,…] [--only NAME,…]
 * [--full-speed]`.
 *
 * Lives follow one another, each with a seed of its own. Ends with a table, and with exit status 1 if a check failed.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Random, seedOf } from '../support/random.ts';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import type { Disturbance } from './disturbance.ts';
import { disturbances } from './disturbances/index.ts';
import { lifeKinds } from './life-kinds.ts';
import type { LifeKind } from './life-kinds.ts';
import { Life } from './life.ts';

const roundsOfALife = 8;
const failureCountMax = 5;

/** The part of a list with these names, as of `--lives a,b`; the whole list without names. */
function chosen<T extends { readonly name: string }>(all: readonly T[], names: string | undefined): readonly T[] {
  if (names === undefined) return all;
  return names.split(',').map((name) => {
    const found = all.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no "${name}" among: ${all.map((each) => each.name).join(', ')}`);
    return found;
  });
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    rounds: { type: 'string' },
    seed: { type: 'string' },
    lives: { type: 'string' },
    only: { type: 'string' },
    'full-speed': { type: 'boolean', default: false },
  },
});
const seed = seedOf(values.seed ?? process.env['SEED']);
const roundCountMax = Number(values.rounds ?? Infinity);
const minutes = Number(values.minutes ?? (values.rounds === undefined ? 10 : Infinity));
if (!(roundCountMax > 0) || !(minutes > 0)) throw new Error('--minutes and --rounds are numbers above 0');
const kinds = chosen(lifeKinds, values.lives);
const drawn = chosen(disturbances, values.only);
process.env['NODE_COMPILE_CACHE'] ??= join(repositoryRoot, '.cache', 'node-compile-cache');

const startMs = performance.now();
const roundCounts = new Map<string, number>();
const drawCounts = new Map<string, number>();
const missing = new Map<string, string>();
const failures: string[] = [];
let roundCount = 0;

const isOver = (): boolean =>
  roundCount >= roundCountMax || performance.now() - startMs >= minutes * 60_000 || failures.length >= failureCountMax;

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** The disturbances that this life can have. */
function possibleIn(life: Life): Disturbance[] {
  return drawn.filter((each) => {
    const lack = each.lacks?.(life);
    if (lack !== undefined) missing.set(each.name, lack);
    return lack === undefined;
  });
}

/** @param lifeSeed it is the first life of a run with this seed */
async function live(lifeSeed: number, kind: LifeKind): Promise<void> {
  await using folder = await temporaryFolder('chaos');
  await using life = await Life.begin(folder.path, lifeSeed, kind, { isAtFullSpeed: values['full-speed'] });
  const draws = new Random(lifeSeed + 2);
  const possible = possibleIn(life);
  let name = 'begin';
  let round = 0;
  try {
    while (possible.length > 0 && round < roundsOfALife && !isOver()) {
      const disturbance = draws.pick(possible);
      round += 1;
      roundCount += 1;
      ({ name } = disturbance);
      const roundStartMs = performance.now();
      await life.round(disturbance);
      count(roundCounts, kind.name);
      count(drawCounts, name);
      const seconds = ((performance.now() - roundStartMs) / 1000).toFixed(1);
      console.log(
        `seed ${lifeSeed} ${kind.name} round ${round}: ${name}, ${life.shown.last} transactions, ${seconds} s`,
      );
    }
    name = 'end';
    if (round > 0) await life.end();
    // No disturbance of this run fits this life.
    else roundCount += possible.length === 0 ? 1 : 0;
  } catch (error) {
    const kept = join(tmpdir(), `litestream-chaos-failed-${lifeSeed}`);
    const only = values.only === undefined ? '' : ` --only '${values.only}'`;
    const speed = values['full-speed'] ? ' --full-speed' : '';
    const again = `npm run chaos -- --seed ${lifeSeed} --lives ${kind.name}${only}${speed} --rounds ${round}`;
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    failures.push(
      `seed ${lifeSeed} ${kind.name} round ${round}: ${name}\n  again: ${again}\n  files: ${kept}\n${what}`,
    );
    console.error(`FAILED: ${failures.at(-1)}`);
    life.keep(kept);
  }
}

console.log(`chaos: --seed ${seed}, ${drawn.length} disturbances in ${kinds.length} kinds of lives`);
for (let lifeSeed = seed; !isOver(); lifeSeed += 1) {
  await live(lifeSeed, kinds[lifeSeed % kinds.length] as LifeKind);
}

const rows = (counts: Map<string, number>): string =>
  [...counts.entries()].map(([name, each]) => `  ${String(each).padStart(5)} ${name}`).join('\n');
console.log(`\nrounds that held:\n${rows(roundCounts)}\ndisturbances:\n${rows(drawCounts)}`);
for (const { name } of drawn) {
  if (!drawCounts.has(name)) console.log(`  never ${name}${missing.has(name) ? `: needs ${missing.get(name)}` : ''}`);
}
const took = ((performance.now() - startMs) / 60_000).toFixed(1);
console.log(`chaos: --seed ${seed}, ${roundCount} rounds in ${took} min, ${failures.length} failures`);
for (const failure of failures) console.error(`\n${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
