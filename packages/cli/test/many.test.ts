/** One process that follows many databases: what starting costs, again as well, and that resting costs nothing. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pause } from '../../../tests/support/wait.ts';
import { scratchFolder, start, until } from './support/cli.ts';
import { createDatabase, insertRows } from './support/database.ts';

const DATABASE_COUNT = 100;
/** All levels at once, and what the first look at retention asks. */
const LISTS_MAX = 2;
/**
 * An older listing is not used: the replica is listed again when it is compared with the database, and after the first file.
 */
const TRUSTED_MS = 5000;
const REPEATED_LISTS_MAX = 2;
/**
 * The database, its WAL, its `-shm`, the lock of the metadata folder, and SQLite's: database and WAL of the reader, the
 * `-shm`, and the database of a closed writer and of a closed reader.
 */
const DESCRIPTORS_MAX = 9;
/** Those of the process itself: its output, the event loop, the HTTP server, connections to it. */
const OWN_DESCRIPTORS_MAX = 60;

type Daemon = ReturnType<typeof start>;
type Operations = Readonly<Record<string, number>>;

async function urlOf(daemon: Daemon): Promise<string> {
  await daemon.said('serving metrics on');
  return /(http:\/\/[^/\s"]+)\/metrics/.exec(daemon.stdout)?.[1] ?? '';
}

async function operationsOf(url: string): Promise<Operations> {
  const body = await (await fetch(`${url}/metrics`)).text();
  const samples = body.matchAll(/^litestream_replica_operation_total\{.*operation="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...samples].map(([, name = '', count]) => [name, Number(count)]));
}

interface Start {
  readonly operations: Operations;
  /** Listings that each database may have taken. */
  readonly listsMax: number;
}

/** Once every file is on its replica, waits until nothing is asked of the backend any more, and gives what was. */
async function restOf(daemon: Daemon, startedAt: number, fileCount: number): Promise<Start> {
  const url = await urlOf(daemon);
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'every database on its replica');
  await until(async () => ((await operationsOf(url))['PUT'] ?? 0) >= fileCount, 'every file on its replica');
  let seen = '';
  let seenAt = 0;
  await until(async () => {
    seen = JSON.stringify(await operationsOf(url));
    seenAt = performance.now();
    await pause(1000, 'level 0 is looked at five times meanwhile, and nothing may be asked for it');
    return JSON.stringify(await operationsOf(url)) === seen;
  }, 'a second without a request');
  const operations = JSON.parse(seen) as Operations;
  const isSlow = seenAt - startedAt >= TRUSTED_MS;
  return { operations, listsMax: (LISTS_MAX + (isSlow ? REPEATED_LISTS_MAX : 0)) * DATABASE_COUNT };
}

async function expectFewDescriptors(daemon: Daemon, descriptorsMax: number): Promise<void> {
  if (!existsSync('/proc/self/fd')) return;
  const allowed = DATABASE_COUNT * descriptorsMax + OWN_DESCRIPTORS_MAX;
  const count = (): number => readdirSync(`/proc/${daemon.child.pid}/fd`).length;
  await until(() => Promise.resolve(count() <= allowed), `at most ${allowed} descriptors`);
}

test('a hundred watched databases start without a storm of requests, and ask nothing while nobody writes', async () => {
  const folder = scratchFolder();
  mkdirSync(join(folder, 'dbs'));
  const paths = Array.from({ length: DATABASE_COUNT }, (_, index) => join(folder, 'dbs', `app-${index}.db`));
  for (const path of paths) createDatabase(path);
  const config = join(folder, 'litestream.yml');
  // No boundary of a level, or of snapshots, comes due, which would list level 0 once more.
  writeFileSync(
    config,
    `addr: 127.0.0.1:0
levels: [{interval: 8760h}]
snapshot: {interval: 8760h, retention: 8760h}
l0-retention-check-interval: 200ms
dbs: [{dir: ${folder}/dbs, pattern: "*.db", watch: true, replica: {path: ${folder}/replica}}]
`,
  );
  const firstStartedAt = performance.now();
  const first = start(['replicate', '-config', config]);
  const { operations, listsMax } = await restOf(first, firstStartedAt, 2 * DATABASE_COUNT);
  expect(operations['INIT']).toBe(DATABASE_COUNT);
  expect(operations['LIST'] ?? 0).toBeLessThanOrEqual(listsMax);
  // The first file and the first snapshot: nothing is compacted before its time.
  expect(operations['PUT']).toBe(2 * DATABASE_COUNT);
  await expectFewDescriptors(first, DESCRIPTORS_MAX);
  expect((await first.stop()).exitCode).toBe(0);
  expect(first.stdout).not.toMatch(/level=(WARN|ERROR)/);

  for (const path of paths) insertRows(path, 1);
  const secondStartedAt = performance.now();
  const second = start(['replicate', '-config', config]);
  const again = await restOf(second, secondStartedAt, DATABASE_COUNT);
  expect(again.operations['LIST'] ?? 0).toBeLessThanOrEqual(again.listsMax);
  expect(again.operations['PUT']).toBe(DATABASE_COUNT);
  // No writer was needed, and so none is left.
  await expectFewDescriptors(second, DESCRIPTORS_MAX);
  expect((await second.stop()).exitCode).toBe(0);
  expect(second.stdout).not.toMatch(/level=(WARN|ERROR)/);
});
