/** The test files that `npm test` runs, found by asking vitest. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { repositoryRoot } from '../support/repository.ts';

export interface TestFile {
  /** The folder that vitest runs in. */
  readonly folder: string;
  /** Short name for reports and arguments: `core/test/db-sync.test.ts`. */
  readonly name: string;
  readonly path: string;
  /** It stops and continues processes itself, so the load must not pause its processes. */
  readonly sendsStop: boolean;
}

export const vitestProgram: string = join(repositoryRoot, 'node_modules', 'vitest', 'vitest.mjs');
const execute = promisify(execFile);

/** The test files of every package. */
export async function testFilesOfRepository(): Promise<TestFile[]> {
  return list(repositoryRoot, (path) => relative(repositoryRoot, path).replace(/^packages[/\\]/, ''));
}

/** The test files of one folder with a vitest configuration. */
export async function testFilesOf(folder: string): Promise<TestFile[]> {
  return list(folder, (path) => relative(join(folder, '..'), path));
}

async function list(folder: string, nameOf: (path: string) => string): Promise<TestFile[]> {
  const args = [vitestProgram, 'list', '--filesOnly', '--json'];
  const { stdout } = await execute(process.execPath, args, { cwd: folder, maxBuffer: 16 << 20 });
  const listed = JSON.parse(stdout) as { readonly file: string }[];
  return listed
    .map(({ file }) => {
      const sendsStop = /SIGSTOP|\.asOneStep\(/.test(readFileSync(file, 'utf8'));
      return { folder, path: file, name: nameOf(file).split(sep).join('/'), sendsStop };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A name is a package (`core`), or a part of the names of files. Without names, all files. */
export function matching(files: readonly TestFile[], names: readonly string[]): TestFile[] {
  if (names.length === 0) return [...files];
  const packages = new Set(files.map(({ name }) => packageOf(name)));
  return files.filter(({ name: file }) =>
    names.some((name) => (packages.has(name) ? packageOf(file) === name : file.includes(name))),
  );
}

function packageOf(file: string): string | undefined {
  return file.split('/')[0];
}
