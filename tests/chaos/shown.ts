/** The states that a source database showed to readers, one for each of its transactions. */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { ChainState } from '../support/chain.ts';

const busyTimeoutMs = 20_000;

export class Shown {
  /** `TRANSACTION HASH` of each state, of all timelines. */
  readonly #states = new Set<string>(['0 ']);
  /** Hash after each transaction of the timeline that the source is on; the first transaction has index 1. */
  #timeline: string[] = [''];

  /** Number of the last transaction that the source showed. */
  get last(): number {
    return this.#timeline.length - 1;
  }

  /**
   * Reads what the source shows now. Throws if it lost what it showed before.
   * @param committed number of the last transaction whose COMMIT returned to a writer
   */
  look(database: string, committed: number): void {
    const { last } = this;
    const found = statesOf(database, last);
    if (last > 0 && found.get(last) !== this.#timeline[last]) {
      throw new Error(`the source lost transaction ${last}, which it showed`);
    }
    for (const [txn, hash] of found) {
      this.#timeline[txn] = hash;
      this.#states.add(`${txn} ${hash}`);
    }
    if (this.last < committed) throw new Error(`the source ends with ${this.last}, but ${committed} was committed`);
  }

  /** The source was replaced by a state that it showed before: a new timeline begins there. Throws if it is another one. */
  replaced(database: string): void {
    const known = new Set(this.#states);
    this.#timeline = [''];
    this.look(database, 0);
    const state = `${this.last} ${this.#timeline[this.last]}`;
    if (!known.has(state)) throw new Error(`the source ends with a transaction ${this.last} that it never showed`);
  }

  /** Throws unless a restored database is in a state that the source showed. */
  assertShown({ transactionCount, hash }: ChainState): void {
    if (this.#states.has(`${transactionCount} ${hash}`)) return;
    throw new Error(`the restore ends with a transaction ${transactionCount} that the source never showed`);
  }

  isOnTimeline({ transactionCount, hash }: ChainState): boolean {
    return this.#timeline[transactionCount] === hash;
  }

  /** Throws unless a restored database holds a transaction of the source's timeline. */
  assertHolds(restored: string, txn: number): void {
    if (txn === 0) return;
    const hash = statesOf(restored, txn, txn).get(txn);
    if (hash === undefined) throw new Error(`the restore lacks transaction ${txn}, which was acknowledged`);
    if (hash !== this.#timeline[txn]) throw new Error(`the restore holds another transaction ${txn} than the source`);
  }
}

/** Hash after each transaction of a range. As a reader sees it: a read-only connection, which never checkpoints. */
function statesOf(path: string, from: number, to = Number.MAX_SAFE_INTEGER): Map<number, string> {
  if (!existsSync(path)) return new Map();
  using database = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs });
  if (database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'chain'").get() === undefined) return new Map();
  const rows = database
    .prepare(
      `SELECT txn, lower(hex(hash)) AS hash FROM chain
       WHERE id IN (SELECT max(id) FROM chain WHERE txn BETWEEN ? AND ? GROUP BY txn) ORDER BY txn`,
    )
    .all(from, to);
  return new Map(rows.map((row) => [Number(row['txn']), String(row['hash'])]));
}
