/**
 * Checks every public package as a consumer would meet it: `npm pack`, then publint and attw over the tarball.
 * Prints a table of packed and unpacked sizes. Exits 1 on the first problem of any package.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), 'litestream-packages-'));
let failures = 0;

try {
  for (const folder of readdirSync(join(root, 'packages')).sort()) {
    const path = join(root, 'packages', folder);
    const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as {
      name: string;
      private?: boolean;
    };
    if (manifest.private !== true) check(manifest.name, path);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (failures > 0) {
  console.error(`Error: ${failures} package check(s) failed`);
  process.exitCode = 1;
}

/** Packs one package and runs both tools over the tarball. */
function check(name: string, path: string): void {
  const packed = run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', scratch], path);
  const listing: unknown = JSON.parse(packed.stdout);
  // npm 12 answers with an object keyed by package name, older ones with an array.
  const [facts] = Object.values(listing as Record<string, { filename: string; unpackedSize: number }>);
  if (facts === undefined) throw new Error(`npm pack said nothing about ${name}`);
  const tarball = join(scratch, facts.filename.replace('@', '').replace('/', '-'));
  console.log(`${name}: ${kib(statSync(tarball).size)} packed, ${kib(facts.unpackedSize)} unpacked`);
  verdict('publint', run('publint', [tarball, '--strict'], path));
  verdict('attw', run('attw', [tarball, '--profile', 'esm-only', '--no-color'], path));
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
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', shell: process.platform === 'win32' });
  if (result.error) throw result.error;
  return { status: result.status ?? 1, stdout: result.stdout, stderr: result.stderr };
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}
