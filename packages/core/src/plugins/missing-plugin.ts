/** Errors for a backend without a plugin. They never suggest installing a package that does not exist. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { LitestreamError } from '../util/error.ts';
import { nearest } from '../util/suggest.ts';
import { isPath, refusedPackage } from './find-package.ts';
import type { PackageFolders } from './package-folders.ts';
import { ownFile } from '../own-files/own-file.ts';

/**
 * Packages of this project by the types and schemes that they handle, those of configs and URLs of Litestream (Go). No other
 * package is loaded for a type or scheme: anyone could publish a package under a name made from one.
 */
export const PACKAGES: ReadonlyMap<string, string> = new Map([
  ['abs', '@litestream/client-abs'],
  ['gcs', '@litestream/client-gcs'],
  ['gs', '@litestream/client-gcs'],
  ['nats', '@litestream/client-nats'],
  ['oss', '@litestream/client-oss'],
  ['s3', '@litestream/client-s3'],
  ['sftp', '@litestream/client-sftp'],
  ['webdav', '@litestream/client-webdav'],
  ['webdavs', '@litestream/client-webdav'],
]);

const NAMED = 'under plugins: in the config, with -plugin, or in the plugins of new Litestream({ plugins })';

/** Where packages are looked for; `configFolder` is undefined without a config file. */
export interface SearchedFolders extends PackageFolders {
  readonly configFolder: string | undefined;
}

/**
 * No plugin handles this type or scheme.
 *
 * @param registered types and schemes of the registered plugins
 * @param folders where packages were searched; undefined if they were not
 */
export function missingBackend(
  type: string,
  registered: Iterable<string>,
  folders: SearchedFolders | undefined,
): LitestreamError {
  const packageName = PACKAGES.get(type);
  if (packageName !== undefined) {
    return new LitestreamError(`the client for replicas of type ${type} is not installed`, {
      code: 'PLUGIN_MISSING',
      object: packageName,
      hint: howToInstall(packageName, folders),
    });
  }
  return new LitestreamError(`no known package handles replicas of type ${type}`, {
    code: 'PLUGIN_MISSING',
    object: type,
    hint: hintFor(type, registered, folders),
  });
}

function hintFor(type: string, registered: Iterable<string>, folders: SearchedFolders | undefined): string {
  const present = (name: string): boolean =>
    [...(folders?.trusted ?? []), ...(folders?.refused.keys() ?? [])].some((folder) => existsSync(join(folder, name)));
  if (/^[a-z0-9][a-z0-9.-]*$/.test(type)) {
    const installed = [`litestream-client-${type}`, `@litestream/client-${type}`].find(present);
    if (installed !== undefined) return `${installed} is installed, but must be named: ${NAMED}.`;
  }
  const known = [...new Set([...PACKAGES.keys(), ...registered])].sort();
  const meant = nearest(type, known);
  const question = meant === undefined ? '' : `Did you mean ${meant}? `;
  const list = `${known.slice(0, -1).join(', ')} and ${known.at(-1) ?? ''}`;
  return `${question}Known types are ${list}. Name a third-party client ${NAMED}.`;
}

/**
 * A named plugin does not exist.
 *
 * @param folder where relative paths start from
 */
export function missingPlugin(name: string, folder: string, folders: SearchedFolders): LitestreamError {
  if (isPath(name)) {
    return new LitestreamError(`there is no plugin at ${resolve(folder, name)}`, {
      code: 'PLUGIN_MISSING',
      object: name,
      hint: 'Name the file of a plugin, or the folder of its package. Relative paths start from the folder of the config.',
    });
  }
  return new LitestreamError(`plugin ${name} is not installed`, {
    code: 'PLUGIN_MISSING',
    object: name,
    hint: howToInstall(name, folders),
  });
}

/** The command that installs a package in a searched folder; or why an installed package is not used. */
function howToInstall(name: string, folders: SearchedFolders | undefined): string {
  const inTrusted = folders === undefined ? undefined : refusedPackage(name, folders);
  if (inTrusted !== undefined) return notUsed(inTrusted.path, inTrusted.reason);
  for (const [modules, reason] of folders?.refused ?? []) {
    const path = join(modules, name);
    if (existsSync(path)) return notUsed(path, reason);
  }
  const isGlobal = folders !== undefined && folders.configFolder === undefined && isInstalledGlobally();
  return `Run: npm i ${isGlobal ? '-g ' : ''}${name}`;
}

function notUsed(path: string, reason: string): string {
  return `${path} is not used: ${reason}. Name it by its path if you trust it: -plugin ${path}`;
}

/** `npm i -g` installs into PREFIX/lib/node_modules, on Windows into npm's own folder. */
function isInstalledGlobally(): boolean {
  for (let at = ownFile(); dirname(at) !== at; at = dirname(at)) {
    if (basename(at) !== 'node_modules' || basename(dirname(at)) === '.pnpm') continue;
    if (['lib', 'npm'].includes(basename(dirname(at)))) return true;
  }
  return false;
}
