import type * as NodeSqlite from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { PipeGuard } from './refuse-pipes.ts';
import { DISTRUST } from './sqlite-driver.ts';
import type { SqliteConnection, SqliteDriver, SqliteRow } from './sqlite-driver.ts';

let loaded: typeof NodeSqlite | undefined;

/** Loads `node:sqlite` without the warning that it is experimental, which users cannot act on. */
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
  readonly #guard: PipeGuard;

  constructor(path: string, readOnly: boolean) {
    this.#guard = new PipeGuard(path);
    this.#db = new (loadNodeSqlite().DatabaseSync)(readOnly ? path : existing(path), {
      readOnly,
      timeout: 0,
      enableForeignKeyConstraints: false,
      // Older versions of Node ignore these two.
      defensive: true,
      limits: { triggerDepth: 1 },
    });
    this.#db.exec(DISTRUST);
  }

  exec(sql: string): void {
    this.#guard.run(sql, () => this.#db.exec(sql));
  }

  get(sql: string): SqliteRow | undefined {
    return this.#guard.run(sql, () => this.#db.prepare(sql).get());
  }

  all(sql: string): SqliteRow[] {
    return this.#guard.run(sql, () => this.#db.prepare(sql).all());
  }

  close(): void {
    this.#db.close();
  }
}

/** A database that was just deleted must not be created again, empty, because it is opened for writing. */
function existing(path: string): URL {
  const url = pathToFileURL(path);
  url.searchParams.set('mode', 'rw');
  return url;
}

/** The SQLite library in Node. The default. */
export const nodeSqlite: SqliteDriver = {
  name: 'node:sqlite',
  get version() {
    return process.versions['sqlite'] ?? '0';
  },
  open: (path, options) => new NodeSqliteConnection(path, options?.readOnly ?? false),
  inWorker: () => ({ name: 'node:sqlite' }),
};
