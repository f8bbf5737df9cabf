/**
 * Random lives of a replica against a model of its history (`helpers/store-world.ts`). `STORE_MODEL_STEPS` sets how many
 * steps in all, `SEED` repeats a run.
 */
import { rmSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { isExcused, LEVELS, restorableEnds, World } from './helpers/store-world.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
const stepCount = Number(process.env['STORE_MODEL_STEPS'] ?? 2000);
const worldSteps = 100;
console.log(`store model: SEED=${seed}, ${stepCount} steps`);

type Step = (world: World) => Promise<void> | void;

/** What a running process does, each with its weight. */
const steps: readonly (readonly [weight: number, name: string, step: Step])[] = [
  [25, 'commit', (world) => world.commit()],
  [8, 'sync', async ({ db }) => void (await db.sync())],
  [18, 'upload', upload],
  [7, 'compact 1', ({ stored }) => compact(stored, 1)],
  [4, 'compact 2', ({ stored }) => compact(stored, 2)],
  [2, 'compact 3', ({ stored }) => compact(stored, 3)],
  [3, 'snapshot', async ({ stored }) => void (await stored.snapshot())],
  [4, 'snapshot if due', async ({ stored }) => void (await stored.snapshotIfDue())],
  [6, 'retain', ({ stored }) => stored.enforceSnapshotRetention()],
  [6, 'retain level 0', ({ stored }) => stored.enforceLevel0Retention()],
  [3, 'checkpoint', (world) => world.db.checkpoint(world.pick(['PASSIVE', 'TRUNCATE'] as const))],
  [2, 'checkpoint by the application', ({ app }) => void app.get('PRAGMA wal_checkpoint(PASSIVE)')],
  [6, 'time', (world) => world.pass(world.random.below(20_000))],
  [1, 'set the clock', (world) => world.setClock()],
  [6, 'all at once', together],
  [5, 'crash', crash],
  [3, 'weather', weather],
  [2, 'lose a local file', loseLocal],
  [2, 'vandal', (world) => world.vandalise()],
  [2, 'validate', validate],
];
const weightSum = steps.reduce((sum, [weight]) => sum + weight, 0);

async function upload({ db, replica }: World): Promise<void> {
  await db.sync();
  await replica.sync();
}

async function compact(stored: World['stored'], number: number): Promise<void> {
  const level = LEVELS[number - 1];
  if (level !== undefined) await stored.compact(level);
}

/** Compaction, snapshot, retention and upload of one replica, begun in any order without waiting for each other. */
async function together(world: World): Promise<void> {
  const { stored } = world;
  const tasks = [
    () => upload(world),
    () => compact(stored, 1),
    () => compact(stored, 2),
    () => stored.snapshot(),
    () => stored.enforceSnapshotRetention(),
    () => stored.enforceLevel0Retention(),
  ].filter(() => world.chance(0.6));
  for (let i = tasks.length - 1; i > 0; i -= 1) {
    const j = world.random.below(i + 1);
    [tasks[i], tasks[j]] = [tasks[j] ?? tasks[0]!, tasks[i] ?? tasks[0]!];
  }
  const results = await Promise.allSettled(tasks.map((task) => task()));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** The process ends in mid-life; what it left behind is lost, damaged or whole, and the application goes on or not. */
async function crash(world: World): Promise<void> {
  await world.stop();
  const kind = world.pick(['clean', 'clean', 'last file lost', 'last file torn', 'folder lost', 'files lost'] as const);
  world.steps.push(`  ${kind}`);
  if (kind !== 'clean') world.everLost = true;
  const local = world.db.localLtx(0);
  const last = local.last();
  if (kind === 'last file lost' && last !== undefined) rmSync(last.path);
  if (kind === 'last file torn' && last !== undefined) {
    writeFileSync(last.path, readFileSync(last.path).subarray(0, 150));
  }
  if (kind === 'folder lost') removeFolder(world.db.metaPath);
  if (kind === 'files lost') removeFolder(local.folder, { force: true });
  for (let count = world.random.below(4); count > 0; count -= 1) world.commit();
  if (world.chance(0.3)) world.app.get(`PRAGMA wal_checkpoint(${world.pick(['PASSIVE', 'TRUNCATE', 'RESTART'])})`);
  if (world.chance(0.1)) world.changePageSize();
  for (let count = world.random.below(3); count > 0; count -= 1) world.commit();
  world.pass(world.random.below(30_000));
  await world.start();
}

function weather(world: World): void {
  const kind = world.pick(['calm', 'storm', 'storm', 'down', 'missing'] as const);
  world.steps.push(`  ${kind}`);
  world.client.isDown = kind === 'down';
  world.client.isMissing = kind === 'missing' ? () => world.chance(0.3) : () => false;
  if (kind === 'calm') world.calm();
  else world.storm();
}

function loseLocal(world: World): void {
  const files = world.db.localLtx(0).list();
  if (files.length === 0) return;
  const file = world.pick(files);
  world.steps.push(`  ${file.maxTxid}`);
  world.everLost = true;
  if (world.chance(0.5)) rmSync(file.path);
  else {
    const bytes = readFileSync(file.path);
    bytes[world.random.below(bytes.length)]! ^= 1 + world.random.below(255);
    writeFileSync(file.path, bytes);
  }
}

/** After a full check in good weather whatever was broken is made up for. */
async function validate(world: World): Promise<void> {
  await upload(world);
  await world.stored.validate({ sample: 'all' });
  if (world.isCalm && !world.client.isDown) world.mended();
}

async function live(world: World, count: number): Promise<void> {
  await world.start();
  for (let number = 0; number < count; number += 1) {
    world.pass(1 + world.random.below(100));
    let dice = world.random.below(weightSum);
    const [, name, step] = steps.find(([weight]) => (dice -= weight) < 0) ?? steps[0]!;
    world.steps.push(name);
    const calm = world.isCalm && !world.client.isDown;
    try {
      await step(world);
    } catch (error) {
      if (!isExcused(error, calm)) throw error;
      world.steps.push(`  ${(error as Error).message.slice(0, 100)}`);
    }
    world.record();
    await check(world, 1);
  }
  world.client.isDown = false;
  world.client.isMissing = () => false;
  world.calm();
  await upload(world);
  world.record();
  await validate(world);
  world.record();
  await check(world, Infinity);
}

async function check(world: World, restoreCountMax: number): Promise<void> {
  const files = await world.files();
  world.checkPromises(files);
  world.checkTimes(files);
  const ends = restorableEnds(files);
  const some = <T>(values: readonly T[]): readonly T[] =>
    values.length <= restoreCountMax ? values : Array.from({ length: restoreCountMax }, () => world.pick(values));
  for (const txid of some(ends)) await world.checkTxid(txid);
  const times = [...new Set(files.map(({ timestamp }) => timestamp.getTime()))];
  for (const time of some(times)) await world.checkTimestamp(files, new Date(time));
}

it(`every promised restore is what the application saw, SEED=${seed}`, { timeout: 3_600_000 }, async () => {
  let restoreCount = 0;
  for (let done = 0; done < stepCount; done += worldSteps) {
    const worldSeed = (seed + done) >>> 0;
    await using world = new World(worldSeed);
    try {
      await live(world, Math.min(worldSteps, stepCount - done));
    } catch (error) {
      throw new Error(`SEED=${worldSeed} STORE_MODEL_STEPS=${worldSteps}:\n${world.steps.join('\n')}`, {
        cause: error,
      });
    }
    restoreCount += world.restoreCount;
  }
  console.log(`store model: ${restoreCount} restores`);
  expect(restoreCount).toBeGreaterThan(stepCount);
});
