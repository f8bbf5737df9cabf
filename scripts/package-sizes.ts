/**
 * `node scripts/package-sizes.ts` writes docs/reports/package-sizes.md: what each package costs who installs it. Packages have to be
 * built. `--check` writes nothing and fails if the page is far from what is measured (dependencies, or sizes by a quarter).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root: string = dirname(dirname(fileURLToPath(import.meta.url)));
const page: string = join(root, 'docs', 'reports', 'package-sizes.md');
const TOLERANCE = 0.25;
const IMPORT_RUNS = 10;

interface LockEntry {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly resolved?: string;
  readonly link?: boolean;
}

const lock: Readonly<Record<string, LockEntry>> = (
  JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, LockEntry> }
).packages;

const checking: boolean = process.argv.includes('--check');
const names = readdirSync(join(root, 'packages')).sort();
const packed = packAll();
const rows = names.map((name) => row(name));
if (checking) check();
else writeFileSync(page, pageOf());

interface Packed {
  readonly name: string;
  readonly size: number;
  readonly unpackedSize: number;
}

interface Row {
  readonly name: string;
  readonly packedKb: number;
  readonly unpackedKb: number;
  readonly dependencies: number;
  readonly installedMb: number;
  readonly importMs: number | undefined;
}

function packAll(): readonly Packed[] {
  const workspaces = names.flatMap((name) => ['--workspace', `packages/${name}`]);
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', ...workspaces];
  const answer = execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  // npm 12 answers with an object keyed by package name, older ones with an array.
  return Object.values(JSON.parse(answer) as Record<string, Packed>);
}

function row(name: string): Row {
  const manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')) as {
    name: string;
    exports?: Readonly<Record<string, unknown>>;
  };
  const own = packed.find((each) => each.name === manifest.name);
  if (own === undefined) throw new Error(`npm pack said nothing about ${manifest.name}`);
  const others = closure(`packages/${name}`);
  const bytes = others.reduce((sum, place) => sum + sizeOf(join(root, place)), own.unpackedSize);
  return {
    name: manifest.name,
    packedKb: Math.round(own.size / 1000),
    unpackedKb: Math.round(own.unpackedSize / 1000),
    dependencies: others.length,
    installedMb: bytes / 1e6,
    importMs: checking || manifest.exports?.['.'] === undefined ? undefined : importMs(manifest.name),
  };
}

/** Places in the lock file of all that comes with a workspace, itself left out. */
function closure(start: string): string[] {
  const found = new Set<string>();
  const queue = [start];
  for (let place = queue.pop(); place !== undefined; place = queue.pop()) {
    for (const dependency of Object.keys(lock[place]?.dependencies ?? {})) {
      const next = locate(dependency, place);
      if (next === undefined || found.has(next)) continue;
      found.add(next);
      queue.push(next);
    }
  }
  return [...found];
}

/** Where Node finds a package from another one: nested first, then upwards. */
function locate(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const place = folder === '.' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    const entry = lock[place];
    if (entry !== undefined) return entry.link === true ? entry.resolved : place;
    if (folder === '.') return undefined; // Optional, and not for this platform.
  }
}

function sizeOf(folder: string): number {
  if (!existsSync(folder)) return 0;
  // Of our own packages only what is published counts.
  const published = folder.startsWith(join(root, 'packages')) ? new Set(['dist', 'src', 'wasm', 'bin']) : undefined;
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    if (entry.name === 'node_modules' || (published !== undefined && !published.has(entry.name))) return sum;
    const path = join(folder, entry.name);
    return sum + (entry.isDirectory() ? treeSize(path) : entry.isFile() ? statSync(path).size : 0);
  }, 0);
}

function treeSize(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !join(entry.parentPath, entry.name).includes(`${folder}/node_modules/`))
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

/** CPU time of the cheapest of a few imports, each in a process of its own. */
function importMs(name: string): number {
  const program = `const before = process.cpuUsage(); await import('${name}'); const { user, system } = process.cpuUsage(before); console.log((user + system) / 1000)`;
  const args = ['--input-type=module', '-e', program];
  const runs = Array.from({ length: IMPORT_RUNS }, () =>
    Number(execFileSync(process.execPath, args, { cwd: join(root, 'tests'), encoding: 'utf8' })),
  );
  return Math.round(Math.min(...runs));
}

function pageOf(): string {
  const heads = ['package', 'packed', 'unpacked', 'packages it brings', 'installed with them', 'import'];
  const lines = rows.map((each) => [
    each.name,
    `${each.packedKb} KB`,
    `${each.unpackedKb} KB`,
    String(each.dependencies),
    `${each.installedMb.toFixed(1)} MB`,
    each.importMs === undefined ? '–' : `${each.importMs} ms`,
  ]);
  const table = [heads, heads.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`);
  return `# Package sizes

Written by \`node scripts/package-sizes.ts\`. Core is a peer of the clients and not counted with them. What an import
costs is CPU time, the best of ${IMPORT_RUNS}; a client's includes core's and none of its SDK, which loads when it first connects.

${table.join('\n')}
`;
}

function check(): void {
  const text = readFileSync(page, 'utf8');
  const stale = rows.filter((each) => {
    const cells =
      text
        .split('\n')
        .find((line) => line.startsWith(`| ${each.name} |`))
        ?.split(' | ') ?? [];
    const [, packed = 0, , dependencies = -1, installed = 0] = cells.map((cell) => Number.parseFloat(cell));
    const far = (then: number, now: number): boolean => Math.abs(then - now) > TOLERANCE * now + 1;
    return dependencies !== each.dependencies || far(packed, each.packedKb) || far(installed, each.installedMb);
  });
  if (stale.length === 0) return;
  console.error(`docs/reports/package-sizes.md is stale for ${stale.map(({ name }) => name).join(', ')}.`);
  console.error('Run: node scripts/package-sizes.ts');
  process.exitCode = 1;
}
