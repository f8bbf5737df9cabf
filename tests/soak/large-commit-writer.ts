/**
 * `node large-commit-writer.ts OPTIONS` makes a database, says `ready`; at SIGUSR2 makes one large commit, says
 * `committed`, and makes one small commit after another until SIGTERM.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LargeCommitOptions {
  readonly database: string;
  /** Of each small commit three float64 at the end: when it began (ms since 1970), how long it waited for the lock, and how long it took (ms). */
  readonly log: string;
  readonly sizeMib: number;
  /** Between two small commits. */
  readonly pauseMs: number;
}

/** As long as most applications wait for a lock. */
const BUSY_TIMEOUT_MS = 5000;
const ROW_SIZE = 1 << 20;

async function main({ database: path, log, sizeMib, pauseMs }: LargeCommitOptions): Promise<void> {
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  using database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  // Its own automatic checkpoints would delay its commits.
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;
    CREATE TABLE large (body BLOB); CREATE TABLE small (id INTEGER PRIMARY KEY, body BLOB)`);
  const start = once(process, 'SIGUSR2');
  // A listener for a signal does not keep the process alive.
  const alive = setInterval(() => undefined, 1000);
  console.log('ready');
  await start;
  database.exec('BEGIN IMMEDIATE');
  const large = database.prepare(`INSERT INTO large VALUES (randomblob(${ROW_SIZE}))`);
  for (let row = 0; row < sizeMib; row += 1) large.run();
  database.exec('COMMIT');
  console.log('committed');
  const small = database.prepare('INSERT INTO small (body) VALUES (randomblob(500))');
  const commits: number[] = [];
  while (!stop.signal.aborted) {
    const at = Date.now();
    const startMs = performance.now();
    database.exec('BEGIN IMMEDIATE');
    const lockedMs = performance.now();
    small.run();
    database.exec('COMMIT');
    commits.push(at, lockedMs - startMs, performance.now() - startMs);
    await sleep(pauseMs);
  }
  clearInterval(alive);
  writeFileSync(log, new Uint8Array(Float64Array.from(commits).buffer));
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? '') as LargeCommitOptions);
