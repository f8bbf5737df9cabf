/** The two tables of Litestream (Go) in a database, and the commit that makes SQLite write to the WAL. */
import type { SqliteConnection } from '../../sqlite/driver/sqlite-driver.ts';
import { isBusy } from '../../sqlite/driver/busy.ts';
import { hasCode, LitestreamError } from '../../util/error.ts';
import { requireSmallSchemaOn } from '../../sqlite/schema/begin-read.ts';
import { setUpWriter } from '../../sqlite/checkpoint/checkpoint-call.ts';

/** Litestream (Go) needs them when it takes over. Writes nothing where they are. */
const TABLES = `CREATE TABLE IF NOT EXISTS _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
CREATE TABLE IF NOT EXISTS _litestream_lock (id INTEGER)`;

const BUMP = `${TABLES};
INSERT INTO _litestream_seq (id, seq) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET seq = seq + 1`;

/** The statements that create the tables, as SQLite stores them; those of Litestream (Go) are the same. */
const SCHEMA: ReadonlySet<string> = new Set([
  'CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)',
  'CREATE TABLE _litestream_lock (id INTEGER)',
]);

/**
 * Does the schema have other objects with these names, or objects attached to the tables: a trigger, a view, an index, a
 * column with a check? A write would run them, on the thread of all databases, and a statement cannot be interrupted.
 */
function areForeign(connection: SqliteConnection): boolean {
  const rows = connection.all(
    `SELECT type, sql FROM sqlite_schema WHERE lower(name) IN ('_litestream_seq', '_litestream_lock')
    OR lower(tbl_name) IN ('_litestream_seq', '_litestream_lock')`,
  );
  return rows.some(({ type, sql }) => type !== 'table' || typeof sql !== 'string' || !SCHEMA.has(sql));
}

/**
 * Commits a row of `_litestream_seq`, and the tables if they are missing, so that the WAL has a header and a commit. If the
 * schema has a trigger or a view there, none of it runs: a value in the header is written again instead. `check` runs within the
 * transaction, before anything is written.
 */
export function bumpSequence(connection: SqliteConnection, check: () => void): void {
  inTransaction(connection, () => {
    check();
    return areForeign(connection) ? rewriteVersion(connection) : BUMP;
  });
}

/** Changes no value, but makes a commit. */
function rewriteVersion(connection: SqliteConnection): string {
  return `PRAGMA user_version = ${Number(connection.get('PRAGMA user_version')?.['user_version'] ?? 0)}`;
}

/** One transaction, so that no reader sees half of our writes. `sqlOf` runs within it. */
function inTransaction(connection: SqliteConnection, sqlOf: () => string): void {
  connection.exec('BEGIN IMMEDIATE');
  try {
    connection.exec(`${sqlOf()}; COMMIT`);
  } catch (error) {
    try {
      connection.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full.
    }
    throw error;
  }
}

/** Repeats an attempt that meets a lock. */
export type Retry = <T>(operation: string, attempt: () => T) => Promise<T>;

/** Is the database in WAL mode, with our tables in it? If a reader cannot find out, a writer has to repair the database. */
export function isPrepared(reader: SqliteConnection, path: string): boolean {
  try {
    requireSmallSchemaOn(reader, path);
    if (reader.get('PRAGMA journal_mode')?.['journal_mode'] !== 'wal') return false;
    const row = reader.get(
      `SELECT COUNT(1) AS n FROM sqlite_schema WHERE type = 'table' AND name IN ('_litestream_seq', '_litestream_lock')`,
    );
    return Number(row?.['n']) === 2 || areForeign(reader);
  } catch (error) {
    if (isBusy(error) || hasCode(error, 'SCHEMA_TOO_LARGE')) throw error;
    return false;
  }
}

/** Sets WAL mode and creates the tables. */
export async function prepare(rw: SqliteConnection, path: string, retry: Retry): Promise<void> {
  await retry('read', () => requireSmallSchemaOn(rw, path));
  const mode = await retry('journal_mode', () => rw.get('PRAGMA journal_mode = wal')?.['journal_mode']);
  if (mode !== 'wal') {
    throw new LitestreamError(`cannot enable WAL mode (it is "${String(mode)}"): ${path}`, {
      code: 'DATABASE_INVALID',
      operation: 'open',
      object: path,
      hint: 'Litestream needs write-ahead logging: the database must be writable, and on a local file system.',
    });
  }
  await retry('create tables', () => {
    setUpWriter(rw);
    // Objects in their place stay: nothing here needs the tables.
    inTransaction(rw, () => (areForeign(rw) ? rewriteVersion(rw) : TABLES));
  });
}
