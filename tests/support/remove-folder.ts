import { existsSync, rmSync } from 'node:fs';

const ATTEMPTS_MAX = 100;

/**
 * Removes a folder with all it holds, also while a process works in it. Throws if it does not exist, unless `force`.
 *
 * `rmSync` of Node 24 alone is not enough: it stops without an error, and leaves the rest, once a name that it read is gone
 * before it comes to it. `rm` of `node:fs/promises` does not.
 */
export function removeFolder(path: string, { force = false }: { readonly force?: boolean } = {}): void {
  rmSync(path, { recursive: true, force, maxRetries: 20 });
  for (let attempts = 1; existsSync(path); attempts += 1) {
    if (attempts === ATTEMPTS_MAX) throw new Error(`could not be removed: ${path}`);
    rmSync(path, { recursive: true, force: true, maxRetries: 20 });
  }
}
