/** A path in the config that leads to no database: often a typing error, which would never be heard of otherwise. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { nearest } from '@litestream/core/nearest';
import type { Logger } from '@litestream/core';

/** An application that is just starting has its database by then. */
const PATIENCE_MS = 3000;

/** Says once, after a few seconds, that there is no database yet, and which file may be meant. Disposing it ends the wait. */
export function warnIfMissing(path: string, logger: Logger): Disposable {
  const timer = setTimeout(() => {
    if (!existsSync(path)) logger.warn('database does not exist, waiting for it', { path, hint: hintFor(path) });
  }, PATIENCE_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

function hintFor(path: string): string {
  const folder = dirname(path);
  if (!existsSync(folder)) return `There is no folder ${folder}. Is the path right?`;
  const found = nearest(basename(path), databasesIn(folder));
  if (found !== undefined) return `There is ${join(folder, found)}. Is that the one?`;
  return 'It is replicated from when it is created.';
}

function databasesIn(folder: string): string[] {
  try {
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
    return files.map(({ name }) => name).filter((name) => !/^\.|-(wal|shm|journal|txid)$/.test(name));
  } catch {
    return []; // It cannot be listed, so nothing can be proposed.
  }
}
