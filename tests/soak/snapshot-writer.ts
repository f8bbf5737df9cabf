/** `node snapshot-writer.ts OPTIONS` fills a database, says `ready`, and commits as fast as it can until SIGTERM. */
import { writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface SnapshotWriterOptions {
  readonly database: string;
  /** Pairs of float64 at the end: when a commit was done (ms since 1970), and how long it took (ms). */
  readonly log: string;
  readonly rowCount: number;
}

/** One row to a page of 4 KiB. */
const ROW_SIZE = 3000;
const FILL_ROWS = 5000;
const COMMITS_MAX = 4_000_000;

/** Pages that one commit changes: those of two rows, and of the table that counts. */
export const PAGES_OF_A_COMMIT = 3;

async function main({ database: path, log, rowCount }: SnapshotWriterOptions): Promise<void> {
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  using database = new DatabaseSync(path, { timeout: 60_000 });
  database.exec(`PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE head (txn INTEGER); INSERT INTO head VALUES (0);
    CREATE TABLE item (id INTEGER PRIMARY KEY, txn INTEGER, body BLOB)`);
  for (let first = 1; first <= rowCount; first += FILL_ROWS) {
    database.exec(`WITH RECURSIVE n(i) AS (SELECT ${first} UNION ALL SELECT i + 1 FROM n
      WHERE i < ${Math.min(rowCount, first + FILL_ROWS - 1)}) INSERT INTO item SELECT i, 0, randomblob(${ROW_SIZE}) FROM n`);
  }
  console.log('ready');
  const update = database.prepare(`UPDATE item SET txn = ?, body = randomblob(${ROW_SIZE}) WHERE id = ?`);
  const advance = database.prepare('UPDATE head SET txn = ?');
  const commits: number[] = [];
  for (let txn = 1; !stop.signal.aborted && txn <= COMMITS_MAX; txn += 1) {
    const startMs = performance.now();
    database.exec('BEGIN IMMEDIATE');
    for (let n = 0; n < PAGES_OF_A_COMMIT - 1; n += 1) update.run(txn, 1 + ((txn * 7919 + n * 104_729) % rowCount));
    advance.run(txn);
    database.exec('COMMIT');
    commits.push(Date.now(), performance.now() - startMs);
    if (txn % 100 === 0) await nextTurn();
  }
  writeFileSync(log, new Uint8Array(Float64Array.from(commits).buffer));
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? '') as SnapshotWriterOptions);
