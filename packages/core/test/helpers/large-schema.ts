/** Databases with a hostile schema. Rows are inserted into `sqlite_schema` directly: `CREATE` would take minutes. */
import { DatabaseSync } from 'node:sqlite';

export interface Entry {
  readonly type: 'table' | 'view';
  readonly name: string;
  readonly sql: string;
}

export function many<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/**
 * A database in WAL mode with a table `x` and these entries. Unless checkpointed, the connection that created it stays open.
 */
export function fillSchema(
  path: string,
  entries: readonly Entry[],
  options: { readonly encoding?: string; readonly pageSize?: number; readonly isCheckpointed?: boolean } = {},
): Disposable & { readonly isOpen: boolean } {
  const { encoding = 'utf8', pageSize = 4096, isCheckpointed = true } = options;
  const db = new DatabaseSync(path, { defensive: false });
  db.exec(`PRAGMA encoding = '${encoding.replace('utf', 'UTF-')}'; PRAGMA page_size = ${pageSize};
    PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE x (a); PRAGMA writable_schema = ON; BEGIN`);
  const insert = db.prepare('INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)');
  for (const { type, name, sql } of entries) insert.run(type, name, name, type === 'table' ? 2 : 0, sql);
  db.exec('COMMIT');
  if (isCheckpointed) db.close();
  return {
    get isOpen() {
      return db.isOpen;
    },
    [Symbol.dispose]: () => {
      if (db.isOpen) db.close();
    },
  };
}

/** One row with a column that takes hours to compute. SQLite reads the table together with the schema. */
export function statisticsTable(path: string, name: string): void {
  const slow = `(instr(hex(zeroblob(20000000)), hex(zeroblob(10000000)) || '1'))`;
  const sql =
    name === 'sqlite_stat1'
      ? `CREATE TABLE sqlite_stat1(tbl,idx,stat AS ${slow})`
      : `CREATE TABLE sqlite_stat4(tbl,idx,neq AS ${slow},nlt,ndlt,sample)`;
  const db = new DatabaseSync(path, { defensive: false });
  db.exec(`PRAGMA journal_mode = wal; CREATE TABLE x (a); CREATE INDEX xa ON x (a);
    CREATE TABLE s (tbl, idx, a, b, c); INSERT INTO s VALUES ('x', 'xa', 1, 1, 1); PRAGMA writable_schema = ON`);
  db.prepare(`UPDATE sqlite_schema SET name = ?, tbl_name = ?, sql = ? WHERE name = 's'`).run(name, name, sql);
  db.close();
}
