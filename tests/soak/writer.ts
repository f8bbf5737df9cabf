/** The soak's application: `node writer.ts OPTIONS` commits to the ring at a fixed rate until SIGTERM. */
import { DatabaseSync } from 'node:sqlite';
import { Random } from '../support/random.ts';
import { pause } from '../support/wait.ts';
import { CommitLogWriter } from './commit-log.ts';
import { linkHash, ringSchema } from './ring.ts';

export interface SoakWriterOptions {
  readonly database: string;
  readonly commitLog: string;
  readonly seed: number;
  readonly commitsPerSecond: number;
  /** Rows of the ring, and bytes of a row's payload at most. */
  readonly slotCount: number;
  readonly payloadSizeMax: number;
}

async function main(options: SoakWriterOptions): Promise<void> {
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  const random = new Random(options.seed);
  using database = openDatabase(options.database, options.slotCount);
  const replace = database.prepare('INSERT OR REPLACE INTO ring (slot, txn, hash, payload) VALUES (?, ?, ?, ?)');
  const advance = database.prepare('UPDATE head SET txn = ?');
  const log = new CommitLogWriter(options.commitLog);
  let hash: Uint8Array = new Uint8Array();
  const startMs = performance.now();
  for (let txn = 1; !stop.signal.aborted; txn += 1) {
    const payload = random.body(random.between(1, options.payloadSizeMax));
    hash = linkHash(hash, txn, payload);
    const begunAtMs = Date.now();
    database.exec('BEGIN IMMEDIATE');
    replace.run(txn % options.slotCount, txn, hash, payload);
    advance.run(txn);
    database.exec('COMMIT');
    log.add(txn, begunAtMs, Date.now(), hash);
    // What a stall cost is made up for, so that the rate holds over the whole run.
    const aheadMs = startMs + (txn * 1000) / options.commitsPerSecond - performance.now();
    if (aheadMs > 0) await pause(aheadMs, 'the rate that was asked for');
    else if (txn % 50 === 0) await pause(0, 'signals get their turn');
  }
}

function openDatabase(path: string, slotCount: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 20_000 });
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0');
  database.exec(`BEGIN IMMEDIATE; ${ringSchema} INSERT INTO head VALUES (1, 0, ${slotCount}); COMMIT`);
  return database;
}

const [options] = process.argv.slice(2);
if (import.meta.main && options !== undefined) await main(JSON.parse(options) as SoakWriterOptions);
