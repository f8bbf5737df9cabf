import type * as NodeSqlite from 'node:sqlite';
import type { SqliteConnection, SqliteDriver, SqliteRow } from './sqlite-driver.ts';

let loaded: typeof NodeSqlite | undefined;

/** Loads `node:sqlite` without the warning that it is experimental: a user can do nothing about it. */
export function loadNodeSqlite(): typeof NodeSqlite {
  if (loaded !== undefined) return loaded;
  const own = Object.getOwnPropertyDescriptor(process, 'emitWarning');
  process.emitWarning = () => undefined;
  try {
    loaded = process.getBuiltinModule('node:sqlite');
  } finally {
    if (own !== undefined) Object.defineProperty(process, 'emitWarning', own);
  }
  return loaded;
}

class NodeSqliteConnection implements SqliteConnection {
  readonly #db: NodeSqlite.DatabaseSync;

  constructor(path: string, readOnly: boolean) {
    this.#db = new (loadNodeSqlite().DatabaseSync)(path, { readOnly, timeout: 0 });
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  get(sql: string): SqliteRow | undefined {
    return this.#db.prepare(sql).get();
  }

  all(sql: string): SqliteRow[] {
    return this.#db.prepare(sql).all();
  }

  close(): void {
    this.#db.close();
  }
}

/** The SQLite that Node brings. The default. */
export const nodeSqlite: SqliteDriver = {
  name: 'node:sqlite',
  get version() {
    return process.versions['sqlite'] ?? '0';
  },
  open: (path, options) => new NodeSqliteConnection(path, options?.readOnly ?? false),
};
