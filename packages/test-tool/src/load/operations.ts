import { randomBytes } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS load_test (
    id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB, text_field TEXT, int_field INTEGER, timestamp INTEGER
  );
  CREATE INDEX IF NOT EXISTS idx_load_test_timestamp ON load_test (timestamp);
`;
/** Rows of one read, as many as an application shows at a time. */
const READ_COUNT = 10;
/** Payloads are cut from this many random bytes, each at another offset, so that no page compresses. */
const RANDOM_SIZE = 1 << 20;

/** Creates the table of the load if it does not exist. */
export function createLoadTable(database: DatabaseSync): void {
  database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`);
}

/** The writes and reads of a load. */
export class Operations {
  readonly #database: DatabaseSync;
  readonly #payloadSize: number;
  readonly #batchSize: number;
  readonly #worker: number;
  readonly #random: Uint8Array;
  readonly #insert: StatementSync;
  readonly #newest: StatementSync;
  readonly #select: StatementSync;
  #newestId = 0;
  #row = 0;

  constructor(database: DatabaseSync, options: { payloadSize: number; batchSize: number; worker: number }) {
    this.#database = database;
    this.#payloadSize = options.payloadSize;
    this.#batchSize = options.batchSize;
    this.#worker = options.worker;
    this.#random = randomBytes(RANDOM_SIZE + options.payloadSize);
    this.#insert = database.prepare(
      'INSERT INTO load_test (data, text_field, int_field, timestamp) VALUES (?, ?, ?, ?)',
    );
    this.#newest = database.prepare('SELECT max(id) AS id FROM load_test');
    this.#select = database.prepare(`SELECT id, data FROM load_test WHERE id >= ? ORDER BY id LIMIT ${READ_COUNT}`);
  }

  /** Writes one transaction. */
  write(): void {
    if (this.#batchSize === 1) {
      this.#insertRow();
      return;
    }
    this.#database.exec('BEGIN IMMEDIATE');
    for (let row = 0; row < this.#batchSize; row += 1) this.#insertRow();
    this.#database.exec('COMMIT');
  }

  #insertRow(): void {
    const offset = Math.floor(Math.random() * RANDOM_SIZE);
    const data = this.#random.subarray(offset, offset + this.#payloadSize);
    const integer = BigInt(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER));
    const text = `worker ${this.#worker} row ${(this.#row += 1)}`;
    const { lastInsertRowid } = this.#insert.run(data, text, integer, BigInt(Math.floor(Date.now() / 1000)));
    this.#newestId = Number(lastInsertRowid);
  }

  /** Reads a few adjacent rows at a random position of the table. */
  read(): void {
    if (this.#newestId === 0) this.#newestId = Number(this.#newest.get()?.['id'] ?? 0);
    this.#select.all(Math.floor(Math.random() * this.#newestId));
  }

  /** Rolls back the transaction of a failed write. */
  recover(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
  }
}
