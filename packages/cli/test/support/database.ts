import { DatabaseSync } from 'node:sqlite';

/** A database in WAL mode with a table `t(x)`. */
export function createDatabase(path: string, rows = 1): void {
  const db = new DatabaseSync(path);
  // A daemon that has waited for it opens it just as we do.
  db.exec('PRAGMA busy_timeout = 60000; PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
  db.close();
  insertRows(path, rows);
}

/** One transaction per row. */
export function insertRows(path: string, rows: number): void {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA busy_timeout = 60000');
  const insert = db.prepare('INSERT INTO t VALUES (?)');
  for (let row = 0; row < rows; row += 1) insert.run(`row ${row}`);
  db.close();
}

export function countRows(path: string): number {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const check = db.prepare('PRAGMA integrity_check').get();
    if (check?.['integrity_check'] !== 'ok') throw new Error(`damaged: ${JSON.stringify(check)}`);
    return Number(db.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
  } finally {
    db.close();
  }
}
