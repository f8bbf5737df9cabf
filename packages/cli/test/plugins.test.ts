/** Plugins as a user of a global litestream meets them: the command lies elsewhere, and the plugin beside the config. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';

import { beforeEach, expect, test } from 'vitest';

import { pause, run, scratchFolder, start } from './support/cli.ts';

const CORE = dirname(fileURLToPath(import.meta.resolve('@litestream/core/package.json')));
let folder: string;

beforeEach(() => {
  folder = scratchFolder();
});

function install(name: string, source: string): string {
  const path = join(folder, 'node_modules', name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'package.json'), JSON.stringify({ name, version: '3.2.1', type: 'module' }));
  writeFileSync(join(path, 'index.js'), source);
  return join(path, 'index.js');
}

/** A plugin that keeps replicas in a folder, as a package of its own that imports core. */
function moon(name: string, type = 'moon'): string {
  return `import { file } from '@litestream/core';
    export default { ...file(), name: '${name}', schemes: ['${type}'], types: ['${type}'] };`;
}

function config(text: string): string {
  const path = join(folder, 'litestream.yml');
  writeFileSync(path, text);
  return path;
}

async function listed(path: string): Promise<{ rows: Record<string, unknown>[]; table: string }> {
  const json = await run(['plugins', '-config', path, '-json'], { cwd: '/' });
  expect(json.stderr).toBe('');
  const { stdout: table } = await run(['plugins', '-config', path], { cwd: '/' });
  return { rows: JSON.parse(json.stdout) as Record<string, unknown>[], table };
}

test('one installed beside the config and named in it is found, listed with its place, and replicates', async () => {
  mkdirSync(join(folder, 'node_modules', '@litestream'), { recursive: true });
  symlinkSync(CORE, join(folder, 'node_modules', '@litestream', 'core'));
  const entry = install('@litestream/client-moon', moon('@litestream/client-moon'));
  const [source, copy, replica] = ['app.db', 'copy.db', 'replica'].map((name) => join(folder, name));
  if (source === undefined || copy === undefined) throw new Error('no paths');
  const path = config(
    `plugins: ['@litestream/client-moon']\ndbs: [{path: ${source}, replica: {type: moon, path: ${replica}}}]\n`,
  );
  const { rows, table } = await listed(path);
  expect(rows).toContainEqual({
    package: '@litestream/client-moon',
    version: '3.2.1',
    types: ['moon'],
    schemes: ['moon'],
    path: entry,
    error: null,
  });
  expect(table).toMatch(/^@litestream\/client-moon +3\.2\.1 +moon +moon:\/\/ +ok +\/.*index\.js/m);
  using app = new DatabaseSync(source);
  app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (42)');
  const replicated = await run(['replicate', '-once', '-config', path], { cwd: '/' });
  expect(replicated).toMatchObject({ exitCode: 0 });
  const restored = await run(['restore', '-config', path, '-o', copy, source], { cwd: '/' });
  expect(restored).toMatchObject({ exitCode: 0 });
  using found = new DatabaseSync(copy);
  expect(found.prepare('SELECT x FROM t').all()).toEqual([{ x: 42 }]);
});

test('a scheme that no known package handles is not sent to one, and a near miss is asked about', async () => {
  const path = config(`dbs: [{path: ${join(folder, 'a.db')}, replica: {url: 'sftpp://host/app'}}]\n`);
  const { exitCode, stderr, stdout } = await run(['replicate', '-once', '-config', path], { cwd: '/' });
  expect(exitCode).toBe(1);
  expect(stderr + stdout).toContain('no known package handles replicas of type sftpp');
  expect(stderr + stdout).toContain('Did you mean sftp?');
  expect(stderr + stdout).toContain('plugins:');
  expect(stderr + stdout).not.toContain('npm i');
});

test('a missing SDK, another apiVersion, one that throws, and two that claim one scheme are told apart', async () => {
  mkdirSync(join(folder, 'node_modules', '@litestream'), { recursive: true });
  symlinkSync(CORE, join(folder, 'node_modules', '@litestream', 'core'));
  const names = ['nosdk', 'future', 'torn', 'moon-a', 'moon-b'].map((name) => `@litestream/client-${name}`);
  install('@litestream/client-nosdk', `import 'moon-sdk'; export default {};`);
  install('@litestream/client-future', `export default { name: 'future', apiVersion: 2, schemes: [], types: ['x'] };`);
  install('@litestream/client-torn', `throw new Error('no such moon');`);
  install('@litestream/client-moon-a', moon('@litestream/client-moon-a'));
  install('@litestream/client-moon-b', moon('@litestream/client-moon-b'));
  const { rows } = await listed(config(`plugins: ${JSON.stringify(names)}\ndbs: []\n`));
  const errors = Object.fromEntries(rows.map((row) => [row['package'], row['error']]));
  expect(errors['@litestream/client-nosdk']).toContain('moon-sdk');
  expect(errors['@litestream/client-future']).toMatch(/version/i);
  expect(errors['@litestream/client-torn']).toContain('threw');
  expect(errors['@litestream/client-moon-a']).toBeNull();
  expect(errors['@litestream/client-moon-b']).toMatch(/client-moon-a and @litestream\/client-moon-b both claim moon/);
});

test('nothing of the working directory or of a folder above it runs, whatever the command', async () => {
  const mark = join(folder, 'it-ran');
  const planted = `import { appendFileSync } from 'node:fs'; appendFileSync(${JSON.stringify(mark)}, 'x');`;
  for (const name of ['@litestream/client-s3', '@litestream/client-moon', 'litestream-client-moon']) {
    install(name, planted);
  }
  const cwd = join(folder, 'below', 'deeper');
  mkdirSync(cwd, { recursive: true });
  const elsewhere = join(scratchFolder(), 'litestream.yml');
  // Nothing listens at this place.
  const replica = 's3://bucket/app?endpoint=http://127.0.0.1:1&region=us-east-1';
  writeFileSync(elsewhere, `dbs: [{path: ${join(cwd, 'app.db')}, replica: {url: '${replica}'}}]\n`);
  using app = new DatabaseSync(join(cwd, 'app.db'));
  app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
  const env = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'a-canary-of-a-secret' };
  for (const where of [folder, cwd]) {
    for (const args of [
      ['ltx', '-config', elsewhere, join(cwd, 'app.db')],
      ['ltx', 'moon://crater'],
      ['restore', '-dry-run', '-o', join(folder, 'copy.db'), 'moon://crater'],
      ['replicate', '-once', '-config', elsewhere],
      ['plugins'],
      ['plugins', '-plugin', 'litestream-client-moon'],
    ]) {
      // Requests to the server are retried; whether the client was loaded shows at once.
      const cli = start(args, { cwd: where, env });
      await Promise.race([cli.ended, pause(3000, 'it would have loaded the client by then')]);
      cli.child.kill('SIGKILL');
      await cli.ended;
      expect({ args, ran: existsSync(mark) }).toEqual({ args, ran: false });
    }
  }
  const named = await run(['plugins', '-plugin', './node_modules/litestream-client-moon'], { cwd: folder, env });
  expect({ exitCode: named.exitCode, ran: existsSync(mark) }).toEqual({ exitCode: 1, ran: true });
});

test('a config that names plugins which cannot be used: each is listed with its reason, and nothing replicates', async () => {
  mkdirSync(join(folder, 'node_modules', '@litestream'), { recursive: true });
  symlinkSync(CORE, join(folder, 'node_modules', '@litestream', 'core'));
  install('litestream-client-torn', `throw new Error('no such moon');`);
  install('litestream-client-moon', moon('litestream-client-moon'));
  install('litestream-client-luna', moon('litestream-client-luna'));
  const names = ['torn', 'moon', 'luna', 'gone'].map((name) => `litestream-client-${name}`);
  const path = config(`plugins: [${names.join(', ')}]\ndbs: []\n`);
  const { stdout, stderr, exitCode } = await run(['plugins', '-config', path, '-json'], { cwd: '/' });
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 1 });
  const rows = JSON.parse(stdout) as Record<string, unknown>[];
  const errors = Object.fromEntries(rows.map((row) => [row['package'], row['error']]));
  expect(errors['litestream-client-torn']).toContain('threw');
  expect(errors['litestream-client-moon']).toBeNull();
  expect(errors['litestream-client-luna']).toMatch(/client-moon and litestream-client-luna both claim moon/);
  expect(errors['litestream-client-gone']).toContain('npm i litestream-client-gone');

  const conflict = config(
    `plugins: [${names.slice(1, 3).join(', ')}]\ndbs: [{path: a.db, replica: {url: 'moon://x'}}]\n`,
  );
  const refused = await run(['replicate', '-once', '-config', conflict], { cwd: '/' });
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr + refused.stdout).toContain('both claim moon');
});

test('one is told where files may lie on their way to the replica', async () => {
  mkdirSync(join(folder, 'node_modules', '@litestream'), { recursive: true });
  symlinkSync(CORE, join(folder, 'node_modules', '@litestream', 'core'));
  const told = join(folder, 'told');
  install(
    '@litestream/client-moon',
    `import { writeFileSync } from 'node:fs';
    import { file } from '@litestream/core';
    const create = (config, context) => {
      writeFileSync(${JSON.stringify(told)}, String(context.stagingPath));
      return file().create(config, context);
    };
    export default { ...file(), name: '@litestream/client-moon', schemes: ['moon'], types: ['moon'], create };`,
  );
  const source = join(folder, 'app.db');
  using app = new DatabaseSync(source);
  app.exec('PRAGMA journal_mode = wal; CREATE TABLE t (v)');
  const staging = join(folder, 'staging');
  const path = config(
    `plugins: ['@litestream/client-moon']\ndbs: [{path: ${source}, staging-path: ${staging}, replica: {type: moon, path: ${join(folder, 'replica')}}}]\n`,
  );
  await run(['replicate', '-config', path, '-once'], { cwd: '/' });
  expect(readFileSync(told, 'utf8')).toBe(staging);
});
