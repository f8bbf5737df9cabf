/** Warns about a path in the config without a database: often a typing error, which would stay unnoticed otherwise. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { nearest } from '@litestream/core/nearest';
import type { Logger } from '@litestream/core';

/** Within this time a starting application creates its database. */
const PATIENCE_MS = 3000;

/** Warns once, after a few seconds, if the database does not exist, and suggests a similar path. Disposing it cancels that. */
export function warnIfMissing(path: string, logger: Logger): Disposable {
  const timer = setTimeout(() => {
    if (!existsSync(path)) logger.warn('database does not exist, waiting for it', { path, hint: hintFor(path) });
  }, PATIENCE_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

function hintFor(path: string): string {
  const folder = dirname(path);
  if (!existsSync(folder)) return `The folder ${folder} does not exist. Check the path.`;
  const found = nearest(basename(path), databasesIn(folder));
  if (found !== undefined) return `Did you mean ${join(folder, found)}?`;
  return 'Replication starts when the database is created.';
}

function databasesIn(folder: string): string[] {
  try {
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
    return files.map(({ name }) => name).filter((name) => !/^\.|-(wal|shm|journal|txid)$/.test(name));
  } catch {
    return []; // It cannot be listed, so nothing can be proposed.
  }
}
