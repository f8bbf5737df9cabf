/**
 * Server programs of Debian packages, unpacked into `.cache/`: nothing is installed, no daemon starts, nobody has to be
 * root. A program that the machine has already is used as it is.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeFolder } from '../support/remove-folder.ts';

const cache: string = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), '.cache', 'debian');

/** Where a package's files lie, as if `root` were `/`, and what its programs need in their environment. */
export interface DebianPackage {
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Unpacks a package with those it depends on that the machine lacks, once.
 *
 * @param proof path of a file of the package: if it exists under `/`, the package is installed and nothing is fetched
 */
export function debianPackage(name: string, proof: string): DebianPackage {
  if (existsSync(proof)) return { root: '/', env: {} };
  const root = join(cache, name);
  if (!existsSync(join(root, proof))) unpack(name, root);
  if (!existsSync(join(root, proof))) throw new Error(`package ${name} holds no ${proof}`);
  const folders = ['usr/lib', 'lib'].map((folder) => join(root, folder)).filter((folder) => existsSync(folder));
  const libraries = [...folders, ...folders.flatMap(triplets)];
  return { root, env: { LD_LIBRARY_PATH: libraries.join(':') } };
}

/** Folders such as `x86_64-linux-gnu`, where Debian keeps libraries. */
function triplets(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => join(folder, name));
}

function unpack(name: string, root: string): void {
  console.error(`fetching Debian package ${name}`);
  const folder = `${root}.${process.pid}`;
  mkdirSync(join(folder, 'packages'), { recursive: true });
  try {
    const names = missingPackages(name);
    run('apt-get', ['-q', '-o', 'APT::Sandbox::User=', 'download', ...names], join(folder, 'packages'));
    for (const file of readdirSync(join(folder, 'packages'))) {
      run('dpkg-deb', ['--extract', join(folder, 'packages', file), join(folder, 'root')], folder);
    }
    removeFolder(root, { force: true });
    renameSync(join(folder, 'root'), root);
  } catch (error) {
    const hint = `Install it yourself: apt-get update && apt-get install --no-install-recommends ${name}`;
    throw new Error(`cannot fetch Debian package ${name}. ${hint}`, { cause: error });
  } finally {
    removeFolder(folder, { force: true });
  }
}

/** The package and what it depends on, without what is installed. */
function missingPackages(name: string): string[] {
  const simulate = ['-q', '--simulate', '--no-install-recommends', 'install', name];
  let result = spawnSync('apt-get', simulate, { encoding: 'utf8' });
  if (result.status !== 0 && process.getuid?.() === 0) {
    // A new machine or container has no list of packages yet.
    run('apt-get', ['-q', 'update'], cache);
    result = spawnSync('apt-get', simulate, { encoding: 'utf8' });
  }
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) throw new Error(result.stderr);
  return [...result.stdout.matchAll(/^Inst (\S+)/gm)].map(([, found = '']) => found);
}

function run(command: string, args: readonly string[], cwd: string): void {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${result.stderr}`);
}
