import { DISTRUST } from './sqlite-driver.ts';
import type { SqliteConnection, SqliteDriver, SqliteRow } from './sqlite-driver.ts';

interface BetterStatement {
  get(): unknown;
  all(): unknown[];
}

interface BetterDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): BetterStatement;
  close(): unknown;
}

/** The part of better-sqlite3's constructor that is used here. */
export type BetterSqlite3 = new (
  path: string,
  options?: { readonly?: boolean; fileMustExist?: boolean; timeout?: number },
) => BetterDatabase;

class BetterConnection implements SqliteConnection {
  readonly #db: BetterDatabase;

  constructor(db: BetterDatabase) {
    this.#db = db;
    // Defensive it is by itself; limits it does not offer.
    db.exec(DISTRUST);
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  get(sql: string): SqliteRow | undefined {
    return this.#db.prepare(sql).get() as SqliteRow | undefined;
  }

  all(sql: string): SqliteRow[] {
    return this.#db.prepare(sql).all() as SqliteRow[];
  }

  close(): void {
    this.#db.close();
  }
}

/** The program's own better-sqlite3: `betterSqlite3(Database)` with what `import Database from 'better-sqlite3'` gave. */
export function betterSqlite3(library: BetterSqlite3): SqliteDriver {
  let version: string | undefined;
  return {
    name: 'better-sqlite3',
    get version() {
      if (version === undefined) {
        const db = new library(':memory:');
        const row = db.prepare('SELECT sqlite_version() AS version').get() as { version: string };
        db.close();
        version = row.version;
      }
      return version;
    },
    open: (path, options) =>
      new BetterConnection(
        new library(path, { readonly: options?.readOnly ?? false, fileMustExist: true, timeout: 0 }),
      ),
  };
}
