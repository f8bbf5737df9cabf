/**
 * The status page in a real browser, on a real daemon: `npm run test:browser`. Needs Chromium on the path
 * (`apt-get install chromium`). Checks what the page shows, and writes the pictures of `docs/guides/`.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { tsProgram } from '../support/programs.ts';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { pause, until } from '../support/wait.ts';

const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);
if (chromium === undefined)
  throw new Error('no Chromium on the path: install it, on Debian with `apt-get install chromium`');

await using folder = await temporaryFolder('browser');
const databases = ['orders', 'users'].map((name) => {
  const database = new DatabaseSync(join(folder.path, `${name}.db`));
  database.exec('PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 10000; CREATE TABLE t (x)');
  return database;
});
const config = join(folder.path, 'litestream.yml');
const replica = (name: string): string => `replica: {path: ${join(folder.path, 'replica', name)}, sync-interval: 50ms}`;
const entries = ['orders', 'users', 'missing'].map(
  (name) => `  - {path: ${join(folder.path, name)}.db, ${replica(name)}}`,
);
await writeFile(config, `addr: 127.0.0.1:0\nlevels: [{interval: 1s}, {interval: 4s}]\ndbs:\n${entries.join('\n')}\n`);

await using daemon = tsProgram().replicate(config);
const found = await until(
  'the address',
  () => /msg="serving metrics on" url=(\S+)\/metrics/.exec(daemon.output) ?? undefined,
  {
    failed: () => (daemon.exit === undefined ? undefined : daemon.output),
  },
);
const url = found[1] ?? '';
for (let round = 0; round < 30; round += 1) {
  for (const database of databases) database.exec('INSERT INTO t VALUES (hex(randomblob(4000)))');
  await pause(200, 'the pace of an application');
}
await until('everything to be replicated', async () => {
  const status = (await (await fetch(`${url}/api/status`)).json()) as {
    databases: { replicas: { behind: number }[] }[];
  };
  return status.databases.every(({ replicas }) => replicas.every(({ behind }) => behind === 0));
});

const link = `${url}/#${encodeURIComponent(join(folder.path, 'orders.db'))}`;
// The script itself holds many of the words.
const page = browse(link, ['--dump-dom', '--window-size=1100,800']).replace(/<script>[^]*<\/script>/, '');
for (const text of [
  '3 databases',
  'orders.db',
  'waiting for the file',
  'replicated',
  'restore points',
  'level 0, raw',
  'snapshots',
]) {
  assert.ok(page.includes(text), `the page does not show "${text}":\n${page}`);
}
assert.ok(!page.includes('does not answer'), 'the page says that the daemon does not answer');
assert.match(page, /<svg[^>]*>(<rect[^>]*>.*?)+<\/svg>/);

for (const [name, size] of Object.entries({ 'status-page': '1100,640', 'status-page-phone': '500,900' })) {
  const path = join(repositoryRoot, 'docs', 'guides', `${name}.png`);
  browse(link, [`--screenshot=${path}`, `--window-size=${size}`]);
  console.log(`wrote docs/guides/${name}.png`);
}
for (const database of databases) database.close();
await daemon.stop();
console.log('1 passed, 0 failed');

/** Runs the page for some seconds of its own time, and gives what the browser prints. */
function browse(address: string, flags: readonly string[]): string {
  const all = ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--virtual-time-budget=8000'];
  const result = spawnSync(chromium ?? '', [...all, ...flags, address], { encoding: 'utf8', timeout: 60_000 });
  if (result.status !== 0) throw new Error(`${chromium} failed: ${result.stderr}`);
  return result.stdout;
}
