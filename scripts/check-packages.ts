/**
 * Checks every public package as a consumer would meet it: `npm pack`, then publint and attw over the tarball.
 * Exits 1 if either finds a problem in any package. Sizes are in docs/reports/package-sizes.md.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), 'litestream-packages-'));
let failures = 0;

try {
  for (const { name, path } of packAll()) check(name, path);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (failures > 0) {
  console.error(`Error: ${failures} package check(s) failed`);
  process.exitCode = 1;
}

/** Packs every public package at once. */
function packAll(): readonly { readonly name: string; readonly path: string }[] {
  const workspaces = readdirSync(join(root, 'packages')).flatMap((folder) => {
    const manifest = JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8')) as {
      private?: boolean;
    };
    return manifest.private === true ? [] : ['--workspace', `packages/${folder}`];
  });
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', scratch, ...workspaces];
  const { status, stdout, stderr } = run('npm', args, root);
  if (status !== 0) throw new Error(`npm pack failed:\n${stderr}`);
  // npm 12 answers with an object keyed by package name, older ones with an array.
  const answers = Object.values(JSON.parse(stdout) as Record<string, { name: string; filename: string }>);
  return answers.map(({ name, filename }) => ({
    name,
    path: join(scratch, filename.replace('@', '').replace('/', '-')),
  }));
}

/** Runs both tools over a tarball. */
function check(name: string, tarball: string): void {
  console.log(name);
  verdict('publint', run('publint', [tarball, '--strict'], root));
  verdict('attw', run('attw', [tarball, '--profile', 'esm-only', '--no-color'], root));
}

function verdict(tool: string, result: { status: number; stdout: string; stderr: string }): void {
  if (result.status === 0) return;
  failures += 1;
  console.error(`${tool}:\n${result.stdout}${result.stderr}`);
}

function run(
  command: string,
  args: readonly string[],
  cwd: string,
): { status: number; stdout: string; stderr: string } {
  const result = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    shell: process.platform === 'win32',
  });
  if (result.error) throw result.error;
  return { status: result.status ?? 1, stdout: result.stdout, stderr: result.stderr };
}
