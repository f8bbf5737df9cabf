/**
 * A program that reads a followed copy without end and proves each state it sees: `node copy-reader.ts OPTIONS`, the
 * options as JSON. Each proof is a line in the log: the number of the last transaction. Ends with 1 at the first state
 * that is torn, and when a state is older than one seen before.
 */
import { appendFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { verifyOpenChain } from '../support/chain.ts';
import { Random } from '../support/random.ts';
import { pause } from '../support/wait.ts';

export interface CopyReaderOptions {
  readonly copy: string;
  readonly log: string;
  readonly seed: number;
  /** Highest transaction seen in earlier lives of a reader. */
  readonly seen: number;
}

/** Readers may have to wait while one of them recovers what a killed follower left. */
const busyTimeoutMs = 60_000;

async function main({ copy, log, seed, seen }: CopyReaderOptions): Promise<void> {
  const random = new Random(seed);
  let newest = seen;
  let kept: DatabaseSync | undefined;
  for (;;) {
    const isKept = random.chance(0.7);
    const isWritable = random.chance(0.3);
    const database = isKept ? (kept ??= open(copy, false)) : open(copy, !isWritable);
    database.exec('BEGIN');
    const { transactionCount } = verifyOpenChain(database);
    // A snapshot stays what it is, however long it is looked at.
    if (random.chance(0.2)) {
      await pause(random.between(1, 150), 'a reader that takes its time');
      const again = verifyOpenChain(database).transactionCount;
      if (again !== transactionCount) throw new Error(`one transaction read ${transactionCount}, then ${again}`);
    }
    database.exec('COMMIT');
    // One that is open for reading only cannot checkpoint: SQLite fails to write.
    if ((isKept || isWritable) && random.chance(0.05)) {
      checkpoint(database, random.pick(['PASSIVE', 'FULL', 'TRUNCATE']));
    }
    if (!isKept) database.close();
    else if (random.chance(0.05)) {
      database.close();
      kept = undefined;
    }
    if (transactionCount < newest) throw new Error(`went back from transaction ${newest} to ${transactionCount}`);
    newest = transactionCount;
    appendFileSync(log, `${newest}\n`);
    await pause(random.between(0, 5), 'the time between two readers');
  }
}

/**
 * A connection that has not read since the page size of the copy changed is told that the database is malformed when it
 * checkpoints: SQLite compares the size it knows with that of the log. It is right again once it has read.
 */
function checkpoint(database: DatabaseSync, mode: string): void {
  for (let attempt = 1; ; attempt += 1) {
    const known = pageSizeOf(database);
    try {
      database.exec(`PRAGMA wal_checkpoint(${mode})`);
      return;
    } catch (error) {
      database.prepare('PRAGMA page_count').get();
      if (pageSizeOf(database) === known || attempt === 5) throw error;
    }
  }
}

function pageSizeOf(database: DatabaseSync): unknown {
  return database.prepare('PRAGMA page_size').get()?.['page_size'];
}

function open(path: string, readOnly: boolean): DatabaseSync {
  return new DatabaseSync(path, { readOnly, timeout: busyTimeoutMs });
}

const [options] = process.argv.slice(2);
if (import.meta.main && options !== undefined) await main(JSON.parse(options) as CopyReaderOptions);
