/**
 * Makes `tests/fixtures/litestream-0.3.13`: small replica folders written by the last Litestream of the 0.3 line, and what
 * 0.5.17 (Go) restores from them.
 *
 *   node tests/support/make-v3-fixtures.ts [NAME ...]
 *
 * The files differ from run to run (times, salts), their meaning does not. Needs Python 3 with pip, for 0.5.17.
 */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ChainWriter } from './chain-writer.ts';
import type { ChainWriterOptions } from './chain-writer.ts';
import { verifyChain } from './chain.ts';
import type { Child } from './child.ts';
import type { FixtureState } from './fixture.ts';
import { databasePages, pageDifference } from './pages.ts';
import { goVersion } from './go-litestream.ts';
import { goProgram, writeConfig } from './programs.ts';
import type { Program } from './programs.ts';
import { Random } from './random.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { filesWithTimes, v3FixturesFolder } from './v3-fixture.ts';
import type { V3FixtureExpectation, V3FixturePoint } from './v3-fixture.ts';
import { v3Config, v3Program } from './v3-litestream.ts';
import { pause, until } from './wait.ts';

interface Recipe {
  readonly description: string;
  readonly writer?: ChainWriterOptions;
  readonly snapshotInterval?: string;
  /** What happens while v0.3.13 replicates. */
  readonly write: (writer: ChainWriter) => Promise<void>;
  /** Stops it, writes, starts it again without its local state: a second generation. */
  readonly isRestarted?: true;
  /** 0.5.17 goes on in the same folder afterwards. */
  readonly isUpgraded?: true;
}

async function commits(writer: ChainWriter, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    writer.transaction(2, { add: 1, change: 1, size: 200 });
    await pause(60, 'a log of its own');
  }
}

const recipes: Readonly<Record<string, Recipe>> = {
  'one-log': {
    description: 'A snapshot and one log in several pieces.',
    write: (writer) => commits(writer, 5),
  },
  'many-logs': {
    description: 'Checkpoints between: several logs and snapshots; the database grows and shrinks.',
    writer: { pageSize: 1024, autoVacuum: 'full' },
    snapshotInterval: '1s',
    async write(writer) {
      await commits(writer, 8);
      writer.transaction(1, { add: 40, size: 500 });
      await pause(700, 'a checkpoint and a snapshot may follow');
      writer.transaction(1, { remove: 45 });
      await commits(writer, 10);
      writer.database.exec('VACUUM');
      await pause(600, 'a checkpoint and a snapshot may follow');
      await commits(writer, 6);
    },
  },
  'page-size-65536': {
    description: '65536-byte pages.',
    writer: { pageSize: 65536 },
    write: (writer) => commits(writer, 3),
  },
  generations: {
    description: 'Two generations: the history was broken off and begun anew.',
    isRestarted: true,
    write: (writer) => commits(writer, 4),
  },
  upgraded: {
    description: 'v0.3.13 first, then 0.5.17 into the same folder.',
    isUpgraded: true,
    write: (writer) => commits(writer, 4),
  },
};

async function make(go: Program, v3: Program, name: string, recipe: Recipe): Promise<void> {
  await using folder = await temporaryFolder(`v3-fixture-${name}`);
  const replica = join(folder.path, 'replica');
  const database = join(folder.path, 'app.db');
  const config = join(folder.path, 'v3.yml');
  await writeFile(config, v3Config({ database, replica, ...recipe }));
  {
    using writer = new ChainWriter(database, new Random(23), { ...recipe.writer, autoCheckpointPageCount: 0 });
    await replicated(v3.replicate(config), writer, recipe);
    if (recipe.isRestarted === true) {
      await rm(join(folder.path, '.app.db-litestream'), { recursive: true, force: true });
      writer.transaction(3, { add: 2 });
      await replicated(v3.replicate(config), writer, recipe);
    }
    if (recipe.isUpgraded === true) {
      const upgraded = await writeConfig(join(folder.path, 'go.yml'), { database, replica });
      await replicated(go.replicate(upgraded), writer, recipe);
    }
  }
  const target = join(v3FixturesFolder, name);
  const files = await filesWithTimes(replica);
  const expected = await expectation(go, replica, { description: recipe.description, files, states: [], points: [] });
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  await cp(replica, join(target, 'replica'), { recursive: true });
  await writeFile(join(target, 'expected.json'), `${stringify(expected)}\n`);
  const size = files.reduce((sum, file) => sum + file.size, 0);
  console.log(`${name}: ${files.length} files, ${size} bytes, ${expected.points.length} points`);
}

async function replicated(daemon: Child, writer: ChainWriter, recipe: Recipe): Promise<void> {
  await using child = daemon;
  await until(
    'a snapshot',
    () => /snapshot written|snapshot complete|ltx file uploaded/.test(child.output) || child.exit !== undefined,
    {
      timeoutMs: 3000,
    },
  ).catch(() => undefined);
  await recipe.write(writer);
  await pause(500, 'the last log is written');
  child.signal('SIGINT');
  await child.exited;
}

async function expectation(go: Program, replica: string, facts: V3FixtureExpectation): Promise<V3FixtureExpectation> {
  const states: FixtureState[] = [];
  async function restored(timestamp?: string): Promise<number | undefined> {
    await using folder = await temporaryFolder('v3-fixture-restore');
    const output = join(folder.path, 'restored.db');
    try {
      await go.restore(replica, output, timestamp === undefined ? {} : { timestamp });
    } catch (error) {
      if (error instanceof Error && /timestamp does not exist|no snapshots|no matching/.test(error.message)) {
        return undefined;
      }
      throw error;
    }
    const pages = await databasePages(output);
    const known = states.findIndex((state) => pageDifference(state, pages) === undefined);
    return known >= 0 ? known : states.push({ ...pages, chain: verifyChain(output) }) - 1;
  }
  const points: V3FixturePoint[] = [];
  // Half a millisecond beside each file's time: at the very time, the formats differ in what belongs to it.
  const times = [...new Set(facts.files.map((file) => file.timeMs))].sort((a, b) => a - b);
  const moments = times.slice(0, -1).map((time) => new Date(time).toISOString().replace('Z', '5Z'));
  const first = new Date((times[0] ?? 0) - 1000).toISOString();
  for (const timestamp of [undefined, first, ...moments]) {
    const state = await restored(timestamp);
    points.push({ ...(timestamp === undefined ? {} : { timestamp }), ...(state === undefined ? {} : { state }) });
  }
  return { ...facts, states, points };
}

function stringify(expected: V3FixtureExpectation): string {
  const lines = Object.entries(expected).map(([key, value]) => {
    if (!Array.isArray(value)) return `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`;
    return `  ${JSON.stringify(key)}: [\n${value.map((element) => `    ${JSON.stringify(element)}`).join(',\n')}\n  ]`;
  });
  return `{\n${lines.join(',\n')}\n}`;
}

const v3 = v3Program();
if (v3 === undefined) throw new Error(`there is no Litestream 0.3.13 for ${process.platform}-${process.arch}`);
if (goVersion !== '0.5.17') throw new Error('These fixtures are those of 0.5.17: set GO_LITESTREAM_VERSION=0.5.17.');
const go = await goProgram();
const wanted = process.argv.slice(2);
for (const [name, recipe] of Object.entries(recipes)) {
  if (wanted.length === 0 || wanted.includes(name)) await make(go, v3, name, recipe);
}
