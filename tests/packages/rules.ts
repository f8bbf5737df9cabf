/** What has to hold for every package as it is published. */
import { isDeepStrictEqual } from 'node:util';
import type { PackedPackage } from './registry.ts';

const FORBIDDEN = /^(reflect-metadata|tsyringe|vitest|mocha|jest|@jest\/.*|ava|tap)$/;

/** Sentences that say what is wrong; none if all is well. */
export function ruleBreaks(packages: readonly PackedPackage[]): string[] {
  return packages.flatMap((each) => [...common(each), ...(isClient(each.manifest.name) ? client(each) : [])]);
}

function isClient(name: string): boolean {
  return name.startsWith('@litestream/client-');
}

/** What npm, its users and its provenance check need to know, beside what `publint` looks at. */
const PUBLISHED: Readonly<Record<string, unknown>> = {
  license: 'Apache-2.0',
  type: 'module',
  engines: { node: '>=22.18' },
  publishConfig: { access: 'public', provenance: true },
};

function common({ manifest, folder, files }: PackedPackage): string[] {
  const breaks: string[] = [];
  const { name } = manifest;
  for (const [field, expected] of Object.entries(PUBLISHED)) {
    const found: unknown = Reflect.get(manifest, field);
    if (!isDeepStrictEqual(found, expected)) breaks.push(`${name}: ${field} is ${JSON.stringify(found)}`);
  }
  const { bin, repository, description, exports } = manifest;
  if (repository?.directory !== `packages/${folder}` || !/^git\+https:.*\.git$/.test(repository.url)) {
    breaks.push(`${name}: repository does not say where it lies`);
  }
  if ((description ?? '') === '') breaks.push(`${name} has no description`);
  if (exports?.['./package.json'] === undefined) breaks.push(`${name} hides its package.json`);
  // Otherwise npm corrects them as it publishes, and warns that it removed them, which it did not.
  for (const path of Object.values(bin ?? {})) {
    if (!files.includes(path)) breaks.push(`${name}: there is no program ${path}`);
  }
  for (const file of ['README.md', 'LICENSE']) if (!files.includes(file)) breaks.push(`${name} has no ${file}`);
  const tests = files.filter((file) => !file.startsWith('template/') && /^test\/|\.test\.ts$/.test(file));
  if (tests.length > 0) breaks.push(`${name} ships its tests: ${tests.slice(0, 3).join(', ')}`);
  return breaks;
}

function client({ manifest }: PackedPackage): string[] {
  const { name, dependencies = {}, peerDependencies = {} } = manifest;
  const breaks: string[] = [];
  const all = Object.keys({ ...dependencies, ...peerDependencies });
  for (const other of all.filter(isClient)) breaks.push(`${name} depends on ${other}`);
  for (const other of all.filter((each) => FORBIDDEN.test(each))) breaks.push(`${name} depends on ${other}`);
  if (peerDependencies['@litestream/core'] === undefined) breaks.push(`${name} has no core among its peers`);
  if (dependencies['@litestream/core'] !== undefined) breaks.push(`${name} brings its own core`);
  return breaks;
}
