import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));
const program = fileURLToPath(new URL('../bin/create-client.js', import.meta.url));

interface Result {
  readonly code: number | null;
  readonly output: string;
}

async function run(args: readonly string[], cwd: string): Promise<Result> {
  // With this variable set, node:test reports to a parent process in a format of its own.
  const { NODE_TEST_CONTEXT: _, VITEST: __, ...env } = process.env;
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, output };
}

function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'create-client-'));
  onTestFinished(() => removeFolder(folder, { force: true }));
  return folder;
}

/** Installs what `npm install` would install, from this repository. */
function install(folder: string): void {
  for (const name of ['@litestream/core', '@litestream/ltx', '@types/node', 'undici-types']) {
    const target = join(folder, 'node_modules', name);
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(join(repository, 'node_modules', name), target);
  }
}

test('makes a repository that builds, passes conformance and replicates', async () => {
  const folder = scratchFolder();
  const made = await run([program, '@acme/litestream-client-big-disk'], folder);
  expect(made).toMatchObject({ code: 0 });
  expect(made.output).toContain('Made @acme/litestream-client-big-disk in litestream-client-big-disk');
  const path = join(folder, 'litestream-client-big-disk');
  expect(readdirSync(path).sort()).toEqual([
    '.github',
    '.gitignore',
    'README.md',
    'package.json',
    'src',
    'test',
    'tsconfig.build.json',
    'tsconfig.json',
  ]);
  install(path);

  const tsc = join(repository, 'node_modules', 'typescript', 'bin', 'tsc');
  expect(await run([tsc], path)).toEqual({ code: 0, output: '' });
  expect(await run([tsc, '-p', 'tsconfig.build.json'], path)).toEqual({ code: 0, output: '' });
  const oxlint = join(repository, 'node_modules', 'oxlint', 'bin', 'oxlint');
  expect(await run([oxlint, '--deny-warnings'], path)).toMatchObject({ code: 0 });
  const plugin = (await import(join(path, 'dist', 'index.js'))) as { default: () => unknown };
  expect(plugin.default()).toMatchObject({
    name: '@acme/litestream-client-big-disk',
    types: ['big-disk'],
    schemes: ['big-disk'],
  });

  const { code, output } = await run(['--test', '--test-reporter=tap', 'test/*.test.ts'], path);
  expect(output).toMatch(/big-disk: 220 of \d+ conformance cases ran, 0 failed/);
  expect(output).toContain('ok 2 - replicates a database and restores it');
  expect(output).not.toContain('Closing file descriptor');
  expect(code).toBe(0);
});

test('leaves no name of the template behind', async () => {
  const folder = scratchFolder();
  await run([program, 'zebra', 'elsewhere/made'], folder);
  const path = join(folder, 'elsewhere', 'made');
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    expect(readFileSync(join(entry.parentPath, entry.name), 'utf8')).not.toMatch(/acme/i);
  }
  const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Record<string, object>;
  const own = JSON.parse(readFileSync(join(repository, 'packages/create-client/package.json'), 'utf8')) as {
    version: string;
  };
  expect(manifest['peerDependencies']).toEqual({ '@litestream/core': `>=${own.version}` });
  expect(manifest['devDependencies']).toMatchObject({ '@litestream/core': `^${own.version}` });
  expect(manifest['dependencies']).toBeUndefined();
});

test('the proof of the template is 15 lines', () => {
  const proof = readFileSync(new URL('../template/test/conformance.test.ts', import.meta.url), 'utf8');
  expect(proof.trimEnd().split('\n').length).toBeLessThanOrEqual(15);
});

test('refuses what it cannot make', async () => {
  const folder = scratchFolder();
  mkdirSync(join(folder, 'litestream-client-full'));
  writeFileSync(join(folder, 'litestream-client-full', 'mine.txt'), 'mine');
  for (const [args, message] of [
    [[], 'the name of the client is missing'],
    [['a', 'b', 'c'], 'too many arguments'],
    [['a', '--what'], "Unknown option '--what'"],
    [['s3'], "belong to Litestream's own client"],
    [['full'], 'litestream-client-full exists and is not empty'],
  ] as const) {
    const { code, output } = await run([program, ...args], folder);
    expect(output).toContain(`Error: `);
    expect(output).toContain(message);
    expect(code).toBe(1);
  }
  expect(readdirSync(folder)).toEqual(['litestream-client-full']);
  expect(await run([program, '--help'], folder)).toMatchObject({ code: 0 });
});
