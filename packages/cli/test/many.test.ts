/** One process that follows many databases: what starting costs, and that resting costs nothing. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { scratchFolder, start, until } from './support/cli.ts';
import { createDatabase } from './support/database.ts';

const DATABASE_COUNT = 50;
/** One list a level, and once more what a first compaction asks. */
const LISTS_MAX = 12;

test('fifty watched databases start without a storm of requests, and ask nothing while nobody writes', async () => {
  const folder = scratchFolder();
  mkdirSync(join(folder, 'dbs'));
  for (let index = 0; index < DATABASE_COUNT; index += 1) createDatabase(join(folder, 'dbs', `app-${index}.db`));
  const config = join(folder, 'litestream.yml');
  writeFileSync(
    config,
    `addr: 127.0.0.1:0
l0-retention-check-interval: 200ms
dbs: [{dir: ${folder}/dbs, pattern: "*.db", watch: true, replica: {path: ${folder}/replica}}]
`,
  );
  const daemon = start(['replicate', '-config', config]);
  await daemon.said('serving metrics on');
  const url = /(http:\/\/[^/\s"]+)\/metrics/.exec(daemon.stdout)?.[1] ?? '';
  const operations = async (): Promise<Readonly<Record<string, number>>> => {
    const body = await (await fetch(`${url}/metrics`)).text();
    const samples = body.matchAll(/^litestream_replica_operation_total\{.*operation="(\w+)"\} (\d+)$/gm);
    return Object.fromEntries([...samples].map(([, name = '', count]) => [name, Number(count)]));
  };
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'every database on its replica');
  const { LIST: lists = 0, INIT: inits = 0 } = await operations();
  expect(inits).toBe(DATABASE_COUNT);
  expect(lists / DATABASE_COUNT).toBeLessThanOrEqual(LISTS_MAX);

  // Once their first snapshots are written nothing is asked of the backend any more, many retention checks long.
  let seen = '';
  await until(async () => {
    seen = JSON.stringify(await operations());
    await sleep(1000);
    return JSON.stringify(await operations()) === seen;
  }, 'a second without a request');
  expect((await daemon.stop()).exitCode).toBe(0);
  expect(daemon.stdout).not.toMatch(/level=(WARN|ERROR)/);
});
