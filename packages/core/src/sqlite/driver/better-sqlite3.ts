import { statSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { PipeGuard } from './refuse-pipes.ts';
import { DISTRUST } from './sqlite-driver.ts';
import type { SqliteConnection, SqliteDriver, SqliteRow } from './sqlite-driver.ts';
import { ownFile } from '../../own-files/own-file.ts';

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
  readonly #guard: PipeGuard;

  constructor(db: BetterDatabase, guard: PipeGuard) {
    this.#db = db;
    this.#guard = guard;
    // better-sqlite3 is defensive by default, and has no way to set limits.
    db.exec(DISTRUST);
  }

  exec(sql: string): void {
    this.#guard.run(sql, () => this.#db.exec(sql));
  }

  get(sql: string): SqliteRow | undefined {
    return this.#guard.run(sql, () => this.#db.prepare(sql).get() as SqliteRow | undefined);
  }

  all(sql: string): SqliteRow[] {
    return this.#guard.run(sql, () => this.#db.prepare(sql).all() as SqliteRow[]);
  }

  close(): void {
    this.#db.close();
  }
}

/**
 * The program's own better-sqlite3: `betterSqlite3(Database)` where `Database` comes from `import Database from
 * 'better-sqlite3'`.
 */
export function betterSqlite3(library: BetterSqlite3): SqliteDriver {
  let version: string | undefined;
  let loaded: { readonly origin: Origin | undefined } | undefined;
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
    open(path, options) {
      const guard = new PipeGuard(path);
      const db = new library(path, { readonly: options?.readOnly ?? false, fileMustExist: true, timeout: 0 });
      // The first connection loads the native code.
      loaded ??= { origin: originOf(library) };
      return new BetterConnection(db, guard);
    },
    inWorker() {
      const origin = loaded?.origin;
      if (origin === undefined || identityOf(origin.addon) !== origin.identity) return undefined;
      return { name: 'better-sqlite3', path: origin.path };
    },
  };
}

/** Where a library was loaded from. */
interface Origin {
  readonly path: string;
  /** Path of the native code. */
  readonly addon: string;
  /** Identity of the file at that path. After an update, the new file would be loaded as a second copy. */
  readonly identity: string | undefined;
}

/** Undefined if the library is part of a bundle, or Node did not load it: a worker might load another copy. */
function originOf(library: BetterSqlite3): Origin | undefined {
  // Bundlers replace a direct call.
  const { createRequire } = process.getBuiltinModule('node:module');
  const loaded = Object.entries(createRequire(ownFile()).cache);
  const path = loaded.find(([, module]) => module?.exports === library)?.[0];
  if (path === undefined) return undefined;
  const root = dirname(dirname(path)) + sep;
  const addons = loaded.map(([name]) => name).filter((name) => name.startsWith(root) && name.endsWith('.node'));
  const [addon] = addons;
  return addon === undefined || addons.length > 1 ? undefined : { path, addon, identity: identityOf(addon) };
}

function identityOf(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev} ${stat.ino} ${stat.mtimeNs}`;
}
