/**
 * Which `node_modules` folders a storage client may be loaded from. Its code runs with our rights and sees our
 * credentials, so a folder counts only if other users cannot put anything there. The working directory never counts: it
 * may be anybody's.
 */
import { statSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PackageFolders {
  /** In the order in which they are searched: our own installation, then what the config file's folder has. */
  readonly trusted: readonly string[];
  /** Those that exist and are not searched, with the reason. They are only ever mentioned in a hint. */
  readonly refused: ReadonlyMap<string, string>;
}

const HERE = dirname(fileURLToPath(import.meta.url));

/** @param configFolder the folder of the config file, where there is one */
export function packageFolders(configFolder: string | undefined): PackageFolders {
  const trusted = new Set<string>();
  const refused = new Map<string, string>();
  const consider = (modules: string, owners: ReadonlySet<number>): void => {
    const reason = HERE.startsWith(modules + sep) ? undefined : distrust(modules, owners);
    if (reason === undefined) trusted.add(modules);
    else refused.set(modules, reason);
  };
  const owners = new Set([0, process.geteuid?.() ?? 0]);
  // Whose code runs already needs no other way to run some.
  const ownersOfOurs = new Set([...owners, statSync(HERE).uid]);
  for (const modules of modulesAbove(HERE)) consider(modules, ownersOfOurs);
  if (configFolder !== undefined) for (const modules of modulesAbove(configFolder)) consider(modules, owners);
  for (const modules of modulesAbove(process.cwd())) {
    if (!trusted.has(modules) && !refused.has(modules))
      refused.set(modules, 'no client is loaded from the working directory');
  }
  return { trusted: [...trusted], refused };
}

/** `node_modules` in a folder and in each one above it, as Node looks for packages. */
function modulesAbove(folder: string): string[] {
  const found: string[] = [];
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (basename(at) !== 'node_modules') found.push(join(at, 'node_modules'));
    if (dirname(at) === at) return found;
  }
}

/** Why somebody else may have put packages there; undefined if only we or root can, or if there is no such folder. */
function distrust(modules: string, owners: ReadonlySet<number>): string | undefined {
  // Windows has no owners that Node could tell of; its folders are private to their user by inheritance.
  if (process.geteuid === undefined) return undefined;
  for (const path of [modules, dirname(modules)]) {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (!owners.has(stats.uid)) return `${path} belongs to another user`;
    if ((stats.mode & 0o002) !== 0) return `all users can write to ${path}`;
  }
  return undefined;
}
