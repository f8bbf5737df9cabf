/**
 * Which `node_modules` folders a storage client may be loaded from. Its code runs with our rights and sees our
 * credentials, so a folder counts only if neither it nor its parent belongs to another user or is writable by all. The
 * working directory never counts: it may belong to another user.
 */
import { statSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PackageFolders {
  /** In search order: our own installation, then the config file's folder and those above it. */
  readonly trusted: readonly string[];
  /** Folders that are not searched, with the reason. Used only for hints. */
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
  // The owner of our own code can run code with our rights anyway.
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

/** Why the folder is not trusted; undefined if it is, or if there is no such folder. Does not check the group's permissions. */
function distrust(modules: string, owners: ReadonlySet<number>): string | undefined {
  // Node cannot read owners on Windows; folders there are private to their user by inheritance.
  if (process.geteuid === undefined) return undefined;
  for (const path of [modules, dirname(modules)]) {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (!owners.has(stats.uid)) return `${path} belongs to another user`;
    if ((stats.mode & 0o002) !== 0) return `all users can write to ${path}`;
  }
  return undefined;
}
