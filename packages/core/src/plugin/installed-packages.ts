import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const SCOPE = '@litestream';
const PREFIX = 'client-';

/** Names of the storage clients of this project that lie in a `node_modules` within reach of these folders. */
export function installedPackages(folders: readonly string[]): readonly string[] {
  const names = new Set<string>();
  for (const folder of folders) {
    for (const modules of createRequire(join(folder, 'x.js')).resolve.paths('x') ?? []) {
      const scope = join(modules, SCOPE);
      if (!existsSync(scope)) continue;
      for (const name of readdirSync(scope)) if (name.startsWith(PREFIX)) names.add(`${SCOPE}/${name}`);
    }
  }
  return [...names].sort();
}
