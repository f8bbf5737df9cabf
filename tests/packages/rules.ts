/** What has to hold for every package as it is published. */
import type { PackedPackage } from './registry.ts';

const FORBIDDEN = /^(reflect-metadata|tsyringe|vitest|mocha|jest|@jest\/.*|ava|tap)$/;

/** Sentences that say what is wrong; none if all is well. */
export function ruleBreaks(packages: readonly PackedPackage[]): string[] {
  return packages.flatMap((each) => [...common(each), ...(isClient(each.manifest.name) ? client(each) : [])]);
}

function isClient(name: string): boolean {
  return name.startsWith('@litestream/client-');
}

function common({ manifest, files }: PackedPackage): string[] {
  const breaks: string[] = [];
  if (!files.includes('README.md')) breaks.push(`${manifest.name} has no README.md`);
  const tests = files.filter((file) => !file.startsWith('template/') && /^test\/|\.test\.ts$/.test(file));
  if (tests.length > 0) breaks.push(`${manifest.name} ships its tests: ${tests.slice(0, 3).join(', ')}`);
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
