/** The two SQLite libraries, for an application and for Litestream in it. */
import { createRequire } from 'node:module';
import { DatabaseSync } from 'node:sqlite';
import { betterSqlite3, nodeSqlite } from '@litestream/core';
import type { BetterSqlite3, SqliteDriver } from '@litestream/core';

export type Library = 'node:sqlite' | 'better-sqlite3';

const require = createRequire(import.meta.url);

export function driverOf(library: Library): SqliteDriver {
  return library === 'node:sqlite' ? nodeSqlite : betterSqlite3(require('better-sqlite3') as BetterSqlite3);
}

/** Opens a database as an application does. What `ChainWriter` calls is the same in both libraries. */
export function openWith(library: Library): (path: string, timeoutMs: number) => DatabaseSync {
  if (library === 'node:sqlite') return (path, timeout) => new DatabaseSync(path, { timeout });
  const better = require('better-sqlite3') as new (path: string, options: { timeout: number }) => unknown;
  return (path, timeout) => new better(path, { timeout }) as DatabaseSync;
}
