import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { bodyChecksum, chainSchema, rowHash } from './chain.ts';
import type { Random } from './random.ts';

export interface ChainWriterOptions {
  /** Bytes; only a new database takes it. Default 4096. */
  readonly pageSize?: number;
  readonly autoVacuum?: 'none' | 'full' | 'incremental';
  /** Of SQLite itself, in pages; 0 turns it off. Default: SQLite's own. */
  readonly autoCheckpointPageCount?: number;
  /** Opens the database with another library than `node:sqlite`. */
  readonly open?: (path: string, timeoutMs: number) => DatabaseSync;
}

/** For writes: longer than anything that may hold the write lock in a test. */
const writeTimeoutMs = 20_000;

export const checkpointModes = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;

/** Writes transactions of the test database (`chain.ts`) on a connection of its own. */
export class ChainWriter implements Disposable {
  readonly database: DatabaseSync;
  readonly #random: Random;
  readonly #insertRow: StatementSync;
  readonly #insertNoise: StatementSync;
  readonly #updateNoise: StatementSync;
  readonly #deleteNoise: StatementSync;
  readonly #selectLast: StatementSync;
  readonly #dataVersion: StatementSync;
  #seenVersion: unknown;
  #transactionCount = 0;
  #rowCount = 0;
  #hash: Uint8Array = new Uint8Array();

  constructor(path: string, random: Random, options: ChainWriterOptions = {}) {
    this.#random = random;
    const database = options.open?.(path, writeTimeoutMs) ?? new DatabaseSync(path, { timeout: writeTimeoutMs });
    this.database = database;
    database.exec(`PRAGMA page_size = ${options.pageSize ?? 4096}`);
    database.exec(`PRAGMA auto_vacuum = ${options.autoVacuum ?? 'none'}`);
    enterWalMode(database);
    database.exec('PRAGMA synchronous = NORMAL');
    if (options.autoCheckpointPageCount !== undefined) {
      database.exec(`PRAGMA wal_autocheckpoint = ${options.autoCheckpointPageCount}`);
    }
    database.exec(`BEGIN IMMEDIATE; ${chainSchema}; COMMIT`);
    this.#insertRow = database.prepare('INSERT INTO chain VALUES (?, ?, ?, ?, ?)');
    this.#insertNoise = database.prepare('INSERT INTO noise (checksum, body) VALUES (?, ?)');
    this.#updateNoise = database.prepare(
      'UPDATE noise SET checksum = ?, body = ? WHERE id = (SELECT id FROM noise WHERE checksum >= ? LIMIT 1)',
    );
    this.#deleteNoise = database.prepare(
      'DELETE FROM noise WHERE id IN (SELECT id FROM noise WHERE checksum >= ? LIMIT ?)',
    );
    this.#selectLast = database.prepare('SELECT id, txn, hash FROM chain ORDER BY id DESC LIMIT 1');
    this.#dataVersion = database.prepare('PRAGMA data_version');
    this.#readLast();
  }

  /** Number of the last committed transaction. */
  get transactionCount(): number {
    return this.#transactionCount;
  }

  /** Commits one transaction: `rowCount` rows of the chain, and some changes of the noise. */
  transaction(rowCount: number, noise: { add?: number; change?: number; remove?: number; size?: number } = {}): void {
    const random = this.#random;
    const { database } = this;
    database.exec('BEGIN IMMEDIATE');
    this.#readLast();
    const txn = this.#transactionCount + 1;
    let hash = this.#hash;
    for (let i = 1; i <= rowCount; i += 1) {
      const payload = random.body(random.between(10, 200));
      hash = rowHash(hash, txn, payload);
      this.#insertRow.run(this.#rowCount + i, txn, rowCount, payload, hash);
    }
    this.#changeNoise(noise);
    database.exec('COMMIT');
    this.#transactionCount = txn;
    this.#rowCount += rowCount;
    this.#hash = hash;
  }

  /** Spills the page cache into the WAL in mid-transaction, then rolls back: frames that never count. */
  rolledBack(rowCount: number): void {
    this.database.exec('PRAGMA cache_size = 5; BEGIN IMMEDIATE');
    this.#changeNoise({ add: rowCount, remove: 3, size: 2000 });
    this.database.exec('ROLLBACK; PRAGMA cache_size = -2000');
  }

  /** As applications do it: where a reader is in the way it gives up soon, and that is no error. */
  checkpoint(mode: (typeof checkpointModes)[number], busyTimeoutMs = 20): void {
    this.database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA wal_checkpoint(${mode})`);
    this.database.exec(`PRAGMA busy_timeout = ${writeTimeoutMs}`);
  }

  /** One step of a busy application's life: mostly small transactions, now and then something unusual. */
  step(): void {
    const random = this.#random;
    const dice = random.next();
    if (dice < 0.002) this.transaction(1, { add: random.between(500, 3000), size: 1500 });
    else if (dice < 0.004) this.transaction(1, { remove: 5000 });
    else if (dice < 0.006) this.rolledBack(300);
    else if (dice < 0.0075) this.database.exec('VACUUM');
    else if (dice < 0.0085) this.database.exec('PRAGMA incremental_vacuum(20)');
    else if (dice < 0.02) this.checkpoint(random.pick(checkpointModes));
    else if (dice < 0.5) this.transaction(random.between(1, 10));
    else {
      this.transaction(random.between(1, 3), {
        add: random.between(0, 6),
        change: random.between(0, 4),
        remove: random.between(0, 6),
        size: random.between(50, 1500),
      });
    }
  }

  [Symbol.dispose](): void {
    this.database.close();
  }

  /** Where the chain stands, if another connection wrote since it was last read. */
  #readLast(): void {
    const version = this.#dataVersion.get()?.['data_version'];
    if (version === this.#seenVersion) return;
    this.#seenVersion = version;
    const last = this.#selectLast.get();
    this.#transactionCount = Number(last?.['txn'] ?? 0);
    this.#rowCount = Number(last?.['id'] ?? 0);
    this.#hash = (last?.['hash'] as Uint8Array | undefined) ?? new Uint8Array();
  }

  #changeNoise(noise: { add?: number; change?: number; remove?: number; size?: number }): void {
    const random = this.#random;
    for (let i = 0; i < (noise.add ?? 0); i += 1) {
      const body = random.body(noise.size ?? 300);
      this.#insertNoise.run(bodyChecksum(body), body);
    }
    for (let i = 0; i < (noise.change ?? 0); i += 1) {
      const body = random.body(random.between(10, noise.size ?? 300));
      this.#updateNoise.run(bodyChecksum(body), body, random.between(0, 2 ** 40 - 1));
    }
    if (noise.remove !== undefined) this.#deleteNoise.run(random.between(0, 2 ** 39), noise.remove);
  }
}

/** Several connections that change the journal mode at once get SQLITE_BUSY at once, whatever the busy timeout. */
function enterWalMode(database: DatabaseSync): void {
  for (const deadline = Date.now() + writeTimeoutMs; ;) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      const busy = error instanceof Error && error.message.includes('locked');
      if (!busy || Date.now() > deadline) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
}
