import type { SqliteConnection } from '../../sqlite/driver/sqlite-driver.ts';
import { isBusy, retryBusy } from '../../sqlite/driver/busy.ts';
import { requireSmallSchema } from '../../sqlite/schema/schema-limit.ts';
import type { ConnectionOpener } from './connection-opener.ts';
import { bumpSequence } from './litestream-tables.ts';

/**
 * A writer at full speed leaves the write lock for some microseconds between two transactions, and meanwhile its WAL
 * grows: to get the lock we look often, and several times in a row, which takes some 0.2 ms.
 */
const BARRIER_ATTEMPTS = 8;
const BARRIER_DELAY_MS_MAX = 2;

/** What every call needs that may meet a lock. */
export interface BusyOptions {
  readonly busyTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Our connection that writes to a database, and holds the write barrier. Opened when it is needed. */
export class Writer {
  readonly #opener: ConnectionOpener;
  #connection: SqliteConnection | undefined;
  /** Calls that are using the connection. */
  #callCount = 0;
  #usedAtMs = Number.NEGATIVE_INFINITY;

  constructor(opener: ConnectionOpener, connection: SqliteConnection | undefined) {
    this.#opener = opener;
    this.#connection = connection;
  }

  get isOpen(): boolean {
    return this.#connection !== undefined;
  }

  get isInUse(): boolean {
    return this.#callCount > 0;
  }

  /** When the last use ended, by the monotonic clock. */
  get usedAtMs(): number {
    return this.#usedAtMs;
  }

  connection(): SqliteConnection {
    return (this.#connection ??= this.#opener.openWriter());
  }

  /** See `bumpSequence` of `litestream-tables.ts`. */
  async bumpSequence(options: BusyOptions): Promise<void> {
    const { path } = this.#opener;
    await this.#using(() =>
      // The schema may have changed since the connection read it.
      retryBusy(() => bumpSequence(this.connection(), () => requireSmallSchema(path)), {
        ...options,
        operation: 'write _litestream_seq',
        path,
      }),
    );
  }

  /** See `Connections.barrier`. */
  async barrier<T>(options: BusyOptions, body: () => T): Promise<T> {
    return await this.#using(async () => {
      await retryBusy(() => this.#begin(), {
        ...options,
        operation: 'checkpoint',
        path: this.#opener.path,
        delayMsMax: BARRIER_DELAY_MS_MAX,
      });
      try {
        return body();
      } finally {
        this.connection().exec('ROLLBACK');
      }
    });
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #begin(): void {
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.connection().exec('BEGIN IMMEDIATE');
        return;
      } catch (error) {
        if (attempt === BARRIER_ATTEMPTS || !isBusy(error)) throw error;
      }
    }
  }

  async #using<T>(body: () => Promise<T>): Promise<T> {
    this.#callCount++;
    try {
      return await body();
    } finally {
      this.#callCount--;
      this.#usedAtMs = performance.now();
    }
  }
}
