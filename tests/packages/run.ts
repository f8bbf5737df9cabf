/**
 * `npm run test:packages`: installs what `npm pack` makes of every package into empty projects, and uses it as a user
 * would: replicates and restores on Node 22, 24 and 26; builds the third-party example, runs its conformance and
 * replicates with it; makes a client with `npm create` and runs its tests. Nothing of it sees this repository.
 * Arguments choose steps by a part of their names: `npm run test:packages -- example`.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { Child } from '../support/child.ts';
import { cacheFolder, repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { packAll, startRegistry } from './registry.ts';
import { ruleBreaks } from './rules.ts';

/** The oldest that packages declare, and the newest of what comes after. */
const NODE_VERSIONS = ['22.18.0', '24.21.0', '26.10.0'];
const INSTALL = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
const TIMEOUT_MS = 300_000;
const wanted = process.argv.slice(2);

await using scratch = await temporaryFolder('packages');
const tarballs = await folderOf('tarballs');
const packages = await packAll(tarballs);
const breaks = ruleBreaks(packages);
await using registry = await startRegistry(packages);

for (const version of NODE_VERSIONS) await step(`replicate and restore on Node ${version}`, () => onNode(version));
await step('third-party example from packages', thirdParty);
await step('npm create @litestream/client', template);
for (const sentence of breaks) console.error(`Error: ${sentence}`);
if (breaks.length > 0) process.exitCode = 1;

async function step(name: string, work: () => Promise<void>): Promise<void> {
  if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) return;
  const startMs = performance.now();
  await work();
  console.log(`ok: ${name} (${((performance.now() - startMs) / 1000).toFixed(1)} s)`);
}

/** An empty folder outside the repository, whose npm takes our packages from the registry on loopback. */
async function folderOf(name: string): Promise<string> {
  const folder = join(scratch.path, name);
  await mkdir(folder, { recursive: true });
  return folder;
}

async function project(name: string): Promise<string> {
  const folder = await folderOf(name);
  await writeFile(join(folder, '.npmrc'), `@litestream:registry=${registry.url}\n`);
  if (!existsSync(join(folder, 'package.json'))) {
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }));
  }
  return folder;
}

async function npm(folder: string, ...args: string[]): Promise<void> {
  await new Child(`npm ${args.join(' ')}`, 'npm', args, { cwd: folder }).done(TIMEOUT_MS);
}

/** The folder of a Node of this version, which npm carries. */
async function nodeFolder(version: string): Promise<string> {
  const folder = await cacheFolder('node', version);
  const name = `node-${process.platform}-${process.arch}`;
  const bin = join(folder, 'node_modules', name, 'bin');
  if (!existsSync(join(bin, 'node'))) {
    await writeFile(join(folder, 'package.json'), '{"private":true}');
    await npm(folder, ...INSTALL, '--save-exact', `${name}@${version}`);
  }
  return bin;
}

async function onNode(version: string): Promise<void> {
  const bin = await nodeFolder(version);
  const folder = await project(`node-${version}`);
  const path = `${bin}${delimiter}${process.env['PATH'] ?? ''}`;
  const names = packages.map(({ manifest }) => manifest.name);
  const env = { ...process.env, PATH: path };
  await new Child('npm install', 'npm', [...INSTALL, '--engine-strict', ...names], { cwd: folder, env }).done(
    TIMEOUT_MS,
  );
  const clients = names.filter((name) => name.startsWith('@litestream/client-'));
  const imports = clients.map((name) => `await import(${JSON.stringify(name)})`).join('; ');
  const program = `${imports}; if (process.versions.node !== ${JSON.stringify(version)}) throw new Error(process.version)`;
  await new Child('imports', join(bin, 'node'), ['--input-type=module', '-e', program], { cwd: folder }).done();
  const url = pathToFileURL(join(folder, 'replica')).href;
  await throughCommands(folder, url, [], join(bin, 'node'));
}

/** Replicates a database and restores it with the commands that are installed in this folder. */
async function throughCommands(folder: string, url: string, flags: string[], node = process.execPath): Promise<void> {
  const command = (name: string, ...args: string[]): Promise<Child> =>
    new Child(`litestream ${args.join(' ')}`, node, [join(folder, 'node_modules', '.bin', name), ...args], {
      cwd: folder,
    }).done();
  const [source, copy] = [join(folder, 'app.db'), join(folder, 'copy.db')];
  using app = new DatabaseSync(source);
  app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(100000))');
  await command('litestream', 'replicate', '-once', ...flags, source, url);
  app.exec("INSERT INTO t VALUES ('second')");
  await command('litestream', 'replicate', '-once', ...flags, source, url);
  await command('litestream', 'restore', ...flags, '-integrity-check', 'full', '-o', copy, url);
  using restored = new DatabaseSync(copy);
  const sql = 'SELECT hex(x) AS x FROM t ORDER BY rowid';
  assert.deepEqual(restored.prepare(sql).all(), app.prepare(sql).all());
}

async function thirdParty(): Promise<void> {
  const folder = join(scratch.path, 'third-party-client');
  await cp(join(repositoryRoot, 'examples', 'third-party-client'), folder, {
    recursive: true,
    filter: (path) => !/\/(node_modules|dist|package-lock\.json)$/.test(path),
  });
  await project('third-party-client');
  await npm(folder, ...INSTALL);
  await conformance(folder, 280);
  await npm(folder, 'pack', '--pack-destination', tarballs);
  const user = await project('third-party-user');
  const tarball = join(tarballs, 'litestream-client-sqlite-0.1.0.tgz');
  await npm(user, ...INSTALL, '@litestream/cli', '@litestream/core', tarball);
  await throughCommands(user, 'sqlite-store://all.db?path=app', ['-plugin', 'litestream-client-sqlite']);
}

async function template(): Promise<void> {
  const home = await project('create');
  await npm(home, 'create', '--yes', '@litestream/client', 'big-disk');
  const folder = await project('create/litestream-client-big-disk');
  await npm(folder, ...INSTALL);
  await npm(folder, 'run', 'build');
  await conformance(folder, 204);
}

async function conformance(folder: string, runCount: number): Promise<void> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const tests = await new Child('npm test', 'npm', ['test'], { cwd: folder, env }).done(TIMEOUT_MS);
  assert.match(tests.output, new RegExp(`${runCount} of \\d+ conformance cases ran, 0 failed`));
}
