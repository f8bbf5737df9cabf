import type { SqliteConnection } from '../driver/sqlite-driver.ts';
import { requireSmallSchema } from './schema-limit.ts';

/** Begins a read transaction. SQLite reads the first page, and nothing of the schema. */
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
 * Throws `SCHEMA_TOO_LARGE`, before SQLite has read the schema. The read transaction makes SQLite recover the wal-index, or the
 * database file, where a writer was killed.
 */
export function requireSmallSchemaOn(connection: SqliteConnection, path: string, indexFlags: 'r' | 'r+' = 'r'): void {
  beginRead(connection);
  try {
    requireSmallSchema(path, indexFlags);
  } finally {
    connection.exec('ROLLBACK');
  }
}
