import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGES } from './missing-plugin.ts';

/** Names of the storage clients of this project that are installed in one of these `node_modules`. */
export function installedPackages(modules: readonly string[]): readonly string[] {
  const isInstalled = (name: string): boolean => modules.some((folder) => existsSync(join(folder, name)));
  return [...new Set(PACKAGES.values())].filter(isInstalled).sort();
}
