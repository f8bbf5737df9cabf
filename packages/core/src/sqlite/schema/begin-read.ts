import type { SqliteConnection } from '../driver/sqlite-driver.ts';
import { requireSmallSchema } from './schema-limit.ts';

/** Begins a read transaction. SQLite reads the first page, but not the schema. */
export function beginRead(connection: SqliteConnection): void {
  connection.exec('BEGIN');
  try {
    connection.get('PRAGMA schema_version');
  } catch (error) {
    connection.exec('ROLLBACK');
    throw error;
  }
}

/**
 * Throws `SCHEMA_TOO_LARGE` before SQLite reads the schema. If a writer was killed, the read transaction makes SQLite recover
 * the wal-index or the database file.
 */
export function requireSmallSchemaOn(connection: SqliteConnection, path: string, indexFlags: 'r' | 'r+' = 'r'): void {
  beginRead(connection);
  try {
    requireSmallSchema(path, indexFlags);
  } finally {
    connection.exec('ROLLBACK');
  }
}
