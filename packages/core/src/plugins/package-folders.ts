/**
 * Which `node_modules` folders a storage client may be loaded from. Its code runs with our rights and sees our
 * credentials, so a folder is searched only if no other user can change its content. The working directory is never
 * searched: it may belong to another user.
 */
import { statSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { distrust } from '../files/path-trust.ts';
import { ownFile } from '../own-files/own-file.ts';

export interface PackageFolders {
  /** In search order: our own installation, then the config file's folder and those above it. */
  readonly trusted: readonly string[];
  /** Folders that are not searched, with the reason. Used only for hints. */
  readonly refused: ReadonlyMap<string, string>;
  /** Why a file of a package in a trusted folder is not trusted; undefined if it is. */
  readonly distrust: (path: string) => string | undefined;
}

/** @param configFolder the folder of the config file, if there is one */
export function packageFolders(configFolder: string | undefined): PackageFolders {
  const here = dirname(ownFile());
  const trusted = new Set<string>();
  const refused = new Map<string, string>();
  const owners = new Set([0, process.geteuid?.() ?? 0]);
  // The owner of our own code can run code with our rights anyway.
  const ownersOfOurs = new Set([...owners, statSync(here).uid]);
  const above = modulesAbove(here);
  const reasonOf = (path: string, modules: string): string | undefined =>
    // A user who can write there can replace our own code.
    here.startsWith(modules + sep) ? undefined : distrust(path, above.includes(modules) ? ownersOfOurs : owners);
  for (const modules of [...above, ...(configFolder === undefined ? [] : modulesAbove(configFolder))]) {
    const reason = reasonOf(modules, modules);
    if (reason === undefined) trusted.add(modules);
    else refused.set(modules, reason);
  }
  for (const modules of modulesAbove(process.cwd())) {
    if (!trusted.has(modules) && !refused.has(modules))
      refused.set(modules, 'no client is loaded from the working directory');
  }
  return {
    trusted: [...trusted],
    refused,
    distrust: (path) => reasonOf(path, [...trusted].find((modules) => path.startsWith(modules + sep)) ?? dirname(path)),
  };
}

/** `node_modules` in a folder and in each one above it, as Node looks for packages. */
function modulesAbove(folder: string): string[] {
  const found: string[] = [];
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (basename(at) !== 'node_modules') found.push(join(at, 'node_modules'));
    if (dirname(at) === at) return found;
  }
}
