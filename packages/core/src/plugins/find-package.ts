/** Finds an npm package in `node_modules` folders, without importing it. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LitestreamError } from '../util/error.ts';
import type { PackageFolders } from './package-folders.ts';

export interface FoundPackage {
  /** The file to import. */
  readonly path: string;
  /** What `import()` takes. */
  readonly url: string;
  readonly version: string | undefined;
}

/** Is this the path of a file or folder, and not the name of a package? */
export function isPath(name: string): boolean {
  return name.startsWith('.') || isAbsolute(name);
}

/**
 * The first match of a package name in the trusted folders, without packages that another user could change.
 *
 * @throws LitestreamError `PLUGIN_INVALID` for a package without the file that it names as its main file
 */
export function findPackage(name: string, folders: PackageFolders): FoundPackage | undefined {
  // `require.resolve` would refuse a package that only exports to `import`.
  for (const folder of folders.trusted) {
    const path = join(folder, name);
    // Nothing is read before it is trusted.
    if (distrustFiles(path, folders) !== undefined) continue;
    const found = findPath(path);
    if (found !== undefined && folders.distrust(found.path) === undefined) return found;
  }
  return undefined;
}

/** A package in the trusted folders that is not used, with the reason. */
export function refusedPackage(name: string, folders: PackageFolders): { path: string; reason: string } | undefined {
  for (const folder of folders.trusted) {
    const path = join(folder, name);
    if (!existsSync(path)) continue;
    const reason = distrustFiles(path, folders) ?? folders.distrust(findPath(path)?.path ?? path);
    if (reason !== undefined) return { path, reason };
  }
  return undefined;
}

function distrustFiles(path: string, { distrust }: PackageFolders): string | undefined {
  return distrust(path) ?? distrust(join(path, 'package.json'));
}

/** The plugin in a file, or in the folder of a package. Throws as `findPackage` does. */
export function findPath(path: string): FoundPackage | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isDirectory()) return { path, url: pathToFileURL(path).href, version: undefined };
  const manifest = readManifest(path);
  const entry = join(path, entryOf(manifest ?? {}));
  if (existsSync(entry)) {
    return { path: entry, url: pathToFileURL(entry).href, version: versionOf(manifest ?? {}) };
  }
  if (manifest === undefined) return undefined;
  throw new LitestreamError(`${path} is not a usable Litestream plugin: its main file ${entry} is missing`, {
    code: 'PLUGIN_INVALID',
    object: path,
    hint: 'If its source is there, build it: npm run build. If not, install it again.',
  });
}

type Manifest = Readonly<Record<string, unknown>>;

function readManifest(folder: string): Manifest | undefined {
  const path = join(folder, 'package.json');
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  } catch (cause) {
    throw new LitestreamError(`${folder} is not a usable Litestream plugin: its package.json cannot be read`, {
      code: 'PLUGIN_INVALID',
      object: folder,
      hint: 'Install it again.',
      cause,
    });
  }
}

/** What `import` of the package's own name would load. */
function entryOf(manifest: Manifest): string {
  return conditional(manifest['exports']) ?? (typeof manifest['main'] === 'string' ? manifest['main'] : 'index.js');
}

function conditional(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const branches = value as Manifest;
  for (const key of ['.', 'node', 'import', 'default']) {
    const found = key in branches ? conditional(branches[key]) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function versionOf(manifest: Manifest): string | undefined {
  return typeof manifest['version'] === 'string' ? manifest['version'] : undefined;
}
