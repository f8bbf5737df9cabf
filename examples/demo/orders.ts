/** The shop's database: a catalogue that gives it some weight, and orders that each carry the hash of the one before. */
import { createHash, randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';

const CATALOGUE_ROWS = 12_000;
const DESCRIPTION_SIZE = 4000;

const ITEMS = ['espresso', 'flat white', 'filter', 'cortado', 'mocha'];

/** Makes the database in WAL mode. Returns the open connection. */
export function createShop(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000');
  db.exec('CREATE TABLE catalogue (id INTEGER PRIMARY KEY, description TEXT NOT NULL)');
  db.exec(
    'CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL, cents INTEGER NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL)',
  );
  const insert = db.prepare('INSERT INTO catalogue (description) VALUES (?)');
  db.exec('BEGIN');
  for (let row = 0; row < CATALOGUE_ROWS; row += 1) {
    insert.run(
      randomBytes(DESCRIPTION_SIZE / 4)
        .toString('hex')
        .padEnd(DESCRIPTION_SIZE, 'coffee '),
    );
  }
  db.exec('COMMIT');
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  return db;
}

/** Places orders, in one transaction; the chain goes on from the last one. */
export class OrderBook {
  readonly #db: DatabaseSync;
  readonly #insert;
  #lastId = 0;
  #lastHash = '';

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#insert = db.prepare('INSERT INTO orders (id, item, cents, previous, hash) VALUES (?, ?, ?, ?, ?)');
  }

  /** Returns the id of the last order once the transaction is committed. */
  place(count: number): number {
    this.#db.exec('BEGIN IMMEDIATE');
    for (let each = 0; each < count; each += 1) {
      const id = this.#lastId + 1;
      const item = ITEMS[id % ITEMS.length] ?? 'tea';
      const cents = 250 + (id % 17) * 10;
      const hash = hashOf(id, item, cents, this.#lastHash);
      this.#insert.run(id, item, cents, this.#lastHash, hash);
      this.#lastId = id;
      this.#lastHash = hash;
    }
    this.#db.exec('COMMIT');
    return this.#lastId;
  }
}

export interface Verdict {
  /** What `PRAGMA integrity_check` says: `ok`. */
  readonly integrity: string;
  readonly catalogueRows: number;
  readonly orders: number;
  readonly lastId: number;
  /** Id of the first order whose hash does not fit; undefined if the chain is whole. */
  readonly brokenAt: number | undefined;
}

/** Looks at everything that could be wrong with a restored shop. */
export function verifyShop(path: string): Verdict {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    let last = { id: 0, hash: '' };
    let orders = 0;
    let brokenAt: number | undefined;
    for (const row of db.prepare('SELECT * FROM orders ORDER BY id').iterate()) {
      const { id, item, cents, previous, hash } = row as unknown as Order;
      const fits = id === last.id + 1 && previous === last.hash && hash === hashOf(id, item, cents, previous);
      if (!fits) brokenAt ??= id;
      last = { id, hash };
      orders += 1;
    }
    const integrity = Object.values(db.prepare('PRAGMA integrity_check').get() ?? {})[0];
    const catalogue = Object.values(db.prepare('SELECT count(*) FROM catalogue').get() ?? {})[0];
    const catalogueRows = Number(catalogue) === CATALOGUE_ROWS ? CATALOGUE_ROWS : -1;
    return { integrity: String(integrity), catalogueRows, orders, lastId: last.id, brokenAt };
  } finally {
    db.close();
  }
}

interface Order {
  readonly id: number;
  readonly item: string;
  readonly cents: number;
  readonly previous: string;
  readonly hash: string;
}

function hashOf(id: number, item: string, cents: number, previous: string): string {
  return createHash('sha256').update(`${id}|${item}|${cents}|${previous}`).digest('hex');
}
