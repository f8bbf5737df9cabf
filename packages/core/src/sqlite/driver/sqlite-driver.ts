/** The value of a column. */
export type SqliteValue = null | number | bigint | string | Uint8Array;

/** A row by column name. */
export type SqliteRow = Record<string, SqliteValue>;

/** One connection. Every call is synchronous and never waits for a lock: a locked database throws at once. */
export interface SqliteConnection {
  /** Runs statements that return no rows. */
  exec(sql: string): void;
  /** The first row of a statement, or undefined. */
  get(sql: string): SqliteRow | undefined;
  /** All rows of a statement. */
  all(sql: string): SqliteRow[];
  close(): void;
}

/**
 * The SQLite library that core uses.
 *
 * Two copies of SQLite in one process that open the same file drop each other's POSIX locks, so a program that has the
 * database open itself must pass its own library to core.
 */
export interface SqliteDriver {
  /** `node:sqlite`, `better-sqlite3`, … */
  readonly name: string;
  /** Version of the SQLite library: `3.53.4`. */
  readonly version: string;
  /** Opens an existing database with a busy timeout of zero. */
  open(path: string, options?: { readOnly?: boolean }): SqliteConnection;
  /**
   * How a worker thread of this process loads the same copy of the library, so that both see the same locks. Undefined, or
   * returning undefined: it cannot, and large checkpoints run on this thread.
   */
  readonly inWorker?: (() => WorkerLibrary | undefined) | undefined;
}

/** Names a SQLite library to a worker thread. */
export type WorkerLibrary =
  | { readonly name: 'node:sqlite' }
  /** `path`: of the CommonJS module whose export is the constructor. */
  | { readonly name: 'better-sqlite3'; readonly path: string };

/**
 * Runs first on each connection, because the database is not trusted (https://sqlite.org/security.html). Touches no file and
 * takes no lock. Neither library can interrupt a statement, so our statements must not depend on the schema at all: PRAGMAs,
 * and a write to our table after an inspection of it.
 */
export const DISTRUST = 'PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = OFF; PRAGMA cell_size_check = ON';
