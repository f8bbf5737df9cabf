/** The databases that are replicated and restored: made once, then kept. */
import { createCipheriv } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Changes whenever what is made changes, so that nothing stale is used. */
const generation = 1;
const pageSize = 4096;
const statuses = ['pending', 'paid', 'packed', 'shipped', 'delivered', 'returned'];
const words = 'leave parcel with neighbour if nobody opens ring twice fragile keep dry call before delivery'.split(' ');
/** Bytes of a row that do not compress: with the text around them, pages compress to 0.9 of their size. */
const tokenSize = 780;
const rowsPerTransaction = 20_000;

/** A database in WAL mode of about `size` bytes: a table of orders with an index, and an empty log. */
export async function database(cache: string, size: number): Promise<string> {
  const path = join(cache, `orders-${size}-v${generation}.db`);
  if (existsSync(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}.tmp`;
  await rm(unfinished, { force: true });
  const orders = new Orders(unfinished, 'MEMORY');
  // Nobody reads it before it has its name, so it need not be safe meanwhile.
  orders.database.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -200000');
  while (orders.size < size) orders.add(rowsPerTransaction);
  orders.database.exec('PRAGMA journal_mode = WAL');
  orders.close();
  await rename(unfinished, path);
  return path;
}

/** Rows of a shop: text that repeats, numbers, and a signed token that does not compress. The same on every machine. */
export class Orders {
  readonly database: DatabaseSync;
  readonly #bytes: () => Uint8Array;
  #nextId: number;

  constructor(path: string, journalMode: 'WAL' | 'MEMORY' = 'WAL') {
    this.database = new DatabaseSync(path, { timeout: 10_000 });
    this.database.exec(`
      PRAGMA page_size = ${pageSize};
      PRAGMA journal_mode = ${journalMode};
      PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS orders (
        id INTEGER PRIMARY KEY, customer TEXT NOT NULL, placed_at TEXT NOT NULL,
        status TEXT NOT NULL, total INTEGER NOT NULL, note TEXT, token BLOB NOT NULL
      );
      CREATE INDEX IF NOT EXISTS orders_by_customer ON orders (customer, placed_at);
    `);
    const { last } = this.database.prepare('SELECT coalesce(max(id), 0) AS last FROM orders').get() as { last: number };
    this.#nextId = last + 1;
    this.#bytes = randomBytes(`orders from ${this.#nextId}`);
  }

  /** Rows so far. */
  get count(): number {
    return this.#nextId - 1;
  }

  /** Bytes of the database, whatever is in the log. */
  get size(): number {
    const { pages } = this.database.prepare('SELECT page_count AS pages FROM pragma_page_count').get() as {
      pages: number;
    };
    return pages * pageSize;
  }

  /** One transaction that adds rows, and changes as many old ones as asked for. */
  add(rowCount: number, changedCount = 0): void {
    const insert = this.database.prepare(
      'INSERT INTO orders (id, customer, placed_at, status, total, note, token) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
    const change = this.database.prepare('UPDATE orders SET status = ?, total = total + 1, token = ? WHERE id = ?');
    this.database.exec('BEGIN IMMEDIATE');
    const before = this.#nextId;
    for (let added = 0; added < rowCount; added += 1) {
      const token = this.#bytes();
      const view = new DataView(token.buffer, token.byteOffset);
      const customer = `customer-${view.getUint32(0) % 100_000}`;
      const placedAt = new Date(1_700_000_000_000 + this.#nextId * 977).toISOString();
      const note = words.slice(view.getUint8(5) % 4, 6 + (view.getUint8(4) % 10)).join(' ');
      insert.run(this.#nextId, customer, placedAt, pick(statuses, view.getUint8(6)), view.getUint16(8), note, token);
      this.#nextId += 1;
    }
    for (let changed = 0; changed < changedCount; changed += 1) {
      const token = this.#bytes();
      const view = new DataView(token.buffer, token.byteOffset);
      change.run(pick(statuses, view.getUint8(6)), token, 1 + (view.getUint32(0) % before));
    }
    this.database.exec('COMMIT');
  }

  /** Moves the log into the database and empties it. */
  close(): void {
    this.database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    this.database.close();
  }
}

/** A stream of bytes that look random and are the same for the same seed. */
function randomBytes(seed: string): () => Uint8Array {
  const cipher = createCipheriv('aes-128-ctr', Buffer.from(seed.padEnd(16)).subarray(0, 16), Buffer.alloc(16));
  const zeros = Buffer.alloc(tokenSize);
  return () => new Uint8Array(cipher.update(zeros));
}

function pick(values: readonly string[], number: number): string {
  return values[number % values.length] ?? '';
}
