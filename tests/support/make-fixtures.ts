/**
 * Makes `tests/fixtures/go-0.5.17`: small replica folders written by the Go program, and what it restores from them.
 *
 *   node tests/support/make-fixtures.ts [NAME ...]
 *
 * The files differ from run to run (times, salts), their meaning does not. Needs Python 3 with pip, for the Go program.
 */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ChainWriter } from './chain-writer.ts';
import type { ChainWriterOptions } from './chain-writer.ts';
import { verifyChain } from './chain.ts';
import type { FixtureExpectation, FixtureFile, FixturePoint, FixtureState } from './fixture.ts';
import { goVersion } from './go-litestream.ts';
import { databasePages, pageDifference } from './pages.ts';
import { goProgram, writeConfig } from './programs.ts';
import type { DaemonConfig, Program, RestorePoint } from './programs.ts';
import { Random } from './random.ts';
import { headerTimestampMs, levelFiles, levelMaxTxid, replicaFiles } from './replica-folder.ts';
import { fixturesFolder } from './repository.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { pause, until } from './wait.ts';

interface Recipe {
  readonly description: string;
  readonly writer?: ChainWriterOptions;
  readonly daemon?: Partial<DaemonConfig>;
  /** Keeps the database, its WAL and the local metadata folder too, as they stood with application and daemon gone. */
  readonly keepSource?: true;
  readonly write: (life: Life) => Promise<void>;
}

interface Life {
  readonly writer: ChainWriter;
  readonly replica: string;
  /** Waits until the daemon uploaded what was committed. */
  readonly shipped: () => Promise<void>;
}

async function plainInserts({ writer, shipped }: Life, count = 6): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    writer.transaction(4, { add: 3, change: 1, size: 400 });
    await shipped();
  }
}

/** Writes until every one of these levels holds a file. */
async function writeUntilLevels(life: Life, levels: readonly number[]): Promise<void> {
  await until(
    `levels ${levels.join(', ')}`,
    async () => {
      life.writer.transaction(2, { add: 2, change: 1, size: 300 });
      await life.shipped();
      const found = await Promise.all(levels.map((level) => levelFiles(life.replica, level)));
      return found.every((files) => files.length > 0);
    },
    { intervalMs: 300 },
  );
}

const recipes: Readonly<Record<string, Recipe>> = {
  'plain-inserts': {
    description: 'A first snapshot, then a handful of level 0 files, 4096-byte pages.',
    write: plainInserts,
  },
  levels: {
    description: 'Compaction levels 1 and 2 and a snapshot at level 9; retention removed some of level 0.',
    daemon: { levels: ['1s', '3s'], snapshotInterval: '5s', l0Retention: '1s' },
    async write(life) {
      await writeUntilLevels(life, [1, 2, 9]);
      // Files newer than the snapshot at every level, so that a plan has to combine them.
      await pause(1200, 'the next boundary of level 1 is past');
      await plainInserts(life, 3);
    },
  },
  'page-size-512': {
    description: '512-byte pages.',
    writer: { pageSize: 512 },
    write: (life) => plainInserts(life, 4),
  },
  'page-size-65536': {
    description: '65536-byte pages.',
    writer: { pageSize: 65536 },
    write: (life) => plainInserts(life, 4),
  },
  'grow-and-shrink': {
    description: 'auto_vacuum = full: grows, shrinks by deletes, grows again, then VACUUM; checkpoints in between.',
    writer: { autoVacuum: 'full', pageSize: 1024 },
    daemon: { minCheckpointPageCount: 20 },
    async write(life) {
      const { writer, shipped } = life;
      await plainInserts(life, 2);
      writer.transaction(1, { add: 80, size: 700 });
      await shipped();
      writer.transaction(1, { remove: 90 });
      await shipped();
      writer.transaction(2, { add: 30, size: 700 });
      await shipped();
      writer.transaction(1, { remove: 25 });
      writer.database.exec('VACUUM');
      await shipped();
      await plainInserts(life, 2);
    },
  },
  'taken-over': {
    description: 'With the database, its WAL and the local metadata folder: another program can take over from here.',
    keepSource: true,
    write: plainInserts,
  },
};

async function make(go: Program, name: string, recipe: Recipe): Promise<void> {
  await using folder = await temporaryFolder(`fixture-${name}`);
  const source = join(folder.path, 'source');
  const replica = join(folder.path, 'replica');
  const database = join(source, 'app.db');
  await mkdir(source);
  const config = await writeConfig(join(folder.path, 'litestream.yml'), { database, replica, ...recipe.daemon });

  const target = join(fixturesFolder, name);
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  {
    using writer = new ChainWriter(database, new Random(17), recipe.writer);
    await using daemon = go.replicate(config);
    let txid = await until('the first file', async () => {
      const first = await levelMaxTxid(replica);
      return first > 0n ? first : undefined;
    });
    async function shipped(): Promise<void> {
      await until('the next file', async () => (await levelMaxTxid(replica)) > txid, { failed: () => ended(daemon) });
      await pause(100, 'a checkpoint may follow, with a transaction of its own');
      txid = await levelMaxTxid(replica);
    }
    await recipe.write({ writer, replica, shipped });
    await daemon.stop();
    if (recipe.keepSource === true) {
      await cp(source, join(target, 'source'), { recursive: true, filter: (path) => !path.endsWith('-shm') });
    }
    writer.database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }
  await cp(replica, join(target, 'replica'), { recursive: true });
  const expected = await expectation(go, replica, recipe, database);
  await writeFile(join(target, 'expected.json'), stringify(expected));
  console.log(
    `${name}: ${expected.files.length} files, ${expected.points.length} points, ${expected.states.length} states`,
  );
}

async function expectation(go: Program, replica: string, recipe: Recipe, source: string): Promise<FixtureExpectation> {
  const states: FixtureState[] = [];
  async function restored(point: RestorePoint): Promise<number | undefined> {
    await using folder = await temporaryFolder('fixture-restore');
    const output = join(folder.path, 'restored.db');
    try {
      await go.restore(replica, output, point);
    } catch (error) {
      if (error instanceof Error && /timestamp does not exist|no matching backup files/.test(error.message))
        return undefined;
      throw error;
    }
    const pages = await databasePages(output);
    const known = states.findIndex((state) => pageDifference(state, pages) === undefined);
    if (known >= 0) return known;
    return states.push({ ...pages, chain: verifyChain(output) }) - 1;
  }

  const newest = await restored({});
  if (newest === undefined) throw new Error('the Go program cannot restore its own replica');
  const difference = pageDifference(await databasePages(source), states[newest] as FixtureState);
  if (difference !== undefined) throw new Error(`the restored database is not the source: ${difference}`);

  const files: FixtureFile[] = [];
  const txids = new Set<bigint>();
  const times = new Set<number>();
  for (const { level, name, size, path, maxTxid } of await replicaFiles(replica)) {
    const timestampMs = await headerTimestampMs(path);
    files.push({ level, name, size, timestampMs });
    txids.add(maxTxid);
    times.add(timestampMs);
  }
  const highest = [...txids].reduce((a, b) => (a > b ? a : b));
  const points: FixturePoint[] = [];
  for (let txid = 1n; txid <= highest + 1n; txid += 1n) {
    const state = await restored({ txid });
    points.push({ txid: txid.toString(16).padStart(16, '0'), ...(state === undefined ? {} : { state }) });
  }
  // Half a millisecond after each file: whether a file of exactly the time asked for belongs to it, the programs see
  // differently (Go: no; ours: yes). And once before there was anything.
  const first = Math.min(...times);
  const moments = [...times].sort((a, b) => a - b).map((time) => halfAfter(time));
  for (const timestamp of [new Date(first - 1).toISOString(), ...moments.slice(0, -1)]) {
    const state = await restored({ timestamp });
    points.push({ timestamp, ...(state === undefined ? {} : { state }) });
  }
  const pageSize = (states[newest] as FixtureState).pageSize;
  return { description: recipe.description, version: goVersion, pageSize, files, states, newest, points };
}

/** RFC 3339, half a millisecond later. */
function halfAfter(timeMs: number): string {
  return new Date(timeMs).toISOString().replace('Z', '5Z');
}

/** JSON with an element of `files`, `states` and `points` a line. */
function stringify(expected: FixtureExpectation): string {
  const lines = Object.entries(expected).map(([key, value]) => {
    if (!Array.isArray(value)) return `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`;
    return `  ${JSON.stringify(key)}: [\n${value.map((element) => `    ${JSON.stringify(element)}`).join(',\n')}\n  ]`;
  });
  return `{\n${lines.join(',\n')}\n}\n`;
}

function ended(daemon: { exit: unknown; output: string }): string | undefined {
  return daemon.exit === undefined ? undefined : daemon.output;
}

if (goVersion !== '0.5.17') throw new Error('These fixtures are those of 0.5.17: set GO_LITESTREAM_VERSION=0.5.17.');
const go = await goProgram();
const wanted = process.argv.slice(2);
for (const [name, recipe] of Object.entries(recipes)) {
  if (wanted.length === 0 || wanted.includes(name)) await make(go, name, recipe);
}
console.log(`made ${basename(fixturesFolder)} in ${dirname(fixturesFolder)}`);
