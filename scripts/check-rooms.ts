/**
 * Checks how the sources of each package are laid out: no two files import each other, directly or through others; a file imports
 * only from its own folder and from those before it in the order below; a folder has at most 15 files, and a file at most 300
 * lines, comments included.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const FILES_MAX = 15;
const LINES_MAX = 300;

/** Folders of `src`, each before those that may import from it. A package without an order here has few folders. */
const ORDER: Readonly<Record<string, readonly string[]>> = {
  core: [
    'util',
    'own-files',
    'files',
    'sqlite/driver',
    'sqlite/wal',
    'sqlite/database-file',
    'sqlite/checkpoint',
    'sqlite/schema',
    'storage/errors',
    'storage/contract',
    'storage/guard',
    'storage/reading',
    'storage/file',
    'storage/client-kit',
    'plugins',
    'pages',
    'local-ltx',
    'local-ltx/writer',
    'ledger',
    'db/metadata',
    'db/session',
    'db/status',
    'db/sync',
    'db/snapshot',
    'db/checkpoint',
    'db/open',
    'db/monitor',
    'db',
    'replica/position',
    'replica/upload',
    'replica/join',
    'replica',
    'lease',
    'restore/read',
    'restore/check',
    'restore/plan',
    'restore/decode',
    'restore/write',
    'restore/v3',
    'restore',
    'follower',
    'compaction',
    'retention',
    'verify',
    'drill',
    'maintenance',
    'copy',
    'litestream/replication',
    'litestream/composition',
    'litestream',
    '.',
    'testing',
    'conformance/model',
    'conformance/cases',
    'conformance',
  ],
  cli: [
    'util',
    'units',
    'text',
    'terminal',
    'flags',
    'log',
    'config/schema',
    'config',
    'databases',
    'daemon/services',
    'daemon',
    'watch',
    'reload',
    'http',
    'control',
    'mcp',
    'replicate',
    'commands/shared',
    'commands/socket',
    'commands/replica',
    'commands',
    '.',
  ],
};

const faults: string[] = [];
const packages = globSync('packages/*/src').map((path) => path.split('/')[1] ?? '');
for (const name of packages.sort()) check(name);
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exitCode = 1;
} else {
  console.log(
    `No circle, no upward import, at most ${FILES_MAX} files a folder and ${LINES_MAX} lines a file in ${packages.length} packages.`,
  );
}

function check(name: string): void {
  const root = join('packages', name, 'src');
  const sources = globSync('**/*.ts', { cwd: root });
  for (const file of sources) checkLength(join(root, file));
  const files = new Set(sources.filter((file) => !file.startsWith('generated/')));
  const imports = new Map([...files].map((file) => [file, importsOf(root, file).filter((path) => files.has(path))]));
  for (const circle of circlesOf(imports)) faults.push(`${root}: files import each other: ${circle.join(', ')}`);
  const counts = Map.groupBy(files, (file) => dirname(file));
  for (const [folder, inside] of counts) {
    if (inside.length > FILES_MAX) faults.push(`${join(root, folder)}: ${inside.length} files, at most ${FILES_MAX}`);
  }
  const order = ORDER[name];
  if (order === undefined) {
    for (const circle of circlesOf(betweenFolders(imports))) {
      faults.push(`${root}: folders import each other: ${circle.join(', ')}`);
    }
    return;
  }
  for (const folder of counts.keys()) {
    if (!order.includes(folder))
      faults.push(`${join(root, folder)}: has no place in the order of scripts/check-rooms.ts`);
  }
  for (const [file, targets] of imports) {
    for (const target of targets) {
      if (order.indexOf(dirname(target)) > order.indexOf(dirname(file))) {
        faults.push(`${join(root, file)}: imports ${target}, whose folder comes later`);
      }
    }
  }
}

function checkLength(path: string): void {
  const lines = readFileSync(path, 'utf8').split('\n').length - 1;
  if (lines > LINES_MAX) faults.push(`${path}: ${lines} lines, at most ${LINES_MAX}`);
}

/** Paths below `root` of the modules that a file imports, types included. */
function importsOf(root: string, file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  const specifiers = [...text.matchAll(/(?:\bfrom\s|\bimport\s|\bimport\()\s*'(\.[^']+)'/g)];
  return specifiers.map(([, specifier = '']) => normalize(join(dirname(file), specifier)));
}

function betweenFolders(imports: ReadonlyMap<string, readonly string[]>): Map<string, string[]> {
  const folders = new Map<string, string[]>();
  for (const [file, targets] of imports) {
    const from = dirname(file);
    const others = targets.map(dirname).filter((folder) => folder !== from);
    folders.set(from, [...(folders.get(from) ?? []), ...others]);
  }
  return folders;
}

/** Groups of nodes that reach each other: Tarjan's strongly connected components with more than one node. */
function circlesOf(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (node: string): number => {
    const number = index.size;
    index.set(node, number);
    low.set(node, number);
    stack.push(node);
    for (const next of edges.get(node) ?? []) {
      const reached = index.has(next) ? (stack.includes(next) ? index.get(next) : undefined) : visit(next);
      if (reached !== undefined) low.set(node, Math.min(low.get(node) ?? number, reached));
    }
    const lowest = low.get(node) ?? number;
    if (lowest === number) {
      const circle = stack.splice(stack.indexOf(node));
      if (circle.length > 1) circles.push(circle.sort());
    }
    return lowest;
  };
  for (const node of edges.keys()) if (!index.has(node)) visit(node);
  return circles;
}
