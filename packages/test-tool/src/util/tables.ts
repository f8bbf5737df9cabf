import type { DatabaseSync } from 'node:sqlite';
import { quoteName } from './sqlite.ts';

export interface Table {
  readonly name: string;
  /** Expressions that identify a row: the rowid, under a name that no column has, or the primary key. */
  readonly key: readonly string[];
}

/** The ordinary tables of a database, by name: neither SQLite's own, nor Litestream's, nor virtual ones. */
export function tablesOf(database: DatabaseSync): Table[] {
  const rows = database.prepare(
    "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow')",
  );
  return rows
    .all()
    .map((row) => ({ name: String(row['name']), withoutRowid: row['wr'] === 1 }))
    .filter(({ name }) => !/^(sqlite|_litestream)_/i.test(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, withoutRowid }) => ({ name, key: keyOf(database, name, withoutRowid) }));
}

function keyOf(database: DatabaseSync, table: string, withoutRowid: boolean): string[] {
  const columns = database
    .prepare('SELECT name, pk FROM pragma_table_xinfo(?) ORDER BY pk')
    .all(table)
    .map((row) => ({ name: String(row['name']), pk: Number(row['pk']) }));
  if (!withoutRowid) {
    const names = new Set(columns.map(({ name }) => name.toLowerCase()));
    const rowid = ['rowid', '_rowid_', 'oid'].find((alias) => !names.has(alias));
    // If columns hide all three names, only whole rows identify a row.
    return rowid === undefined ? columns.map(({ name }) => quoteName(name)) : [rowid];
  }
  return columns.filter(({ pk }) => pk > 0).map(({ name }) => quoteName(name));
}
