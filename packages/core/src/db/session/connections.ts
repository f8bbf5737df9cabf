import type { SqliteConnection, SqliteDriver } from '../../sqlite/driver/sqlite-driver.ts';
import { isBusy, retryBusy } from '../../sqlite/driver/busy.ts';
import { keepForGood, refuseSecondLibraryAtOpening } from '../../sqlite/driver/library-conflict.ts';
import { hasCode } from '../../util/error.ts';
import { traced, tracedSync } from '../../util/tracing.ts';
import { beginRead } from '../../sqlite/schema/begin-read.ts';
import type { CheckpointMode, CheckpointResult } from '../../sqlite/checkpoint/checkpoint-call.ts';
import { runCheckpoint } from '../../sqlite/checkpoint/checkpoint-call.ts';
import { checkpointInWorker } from '../../sqlite/checkpoint/checkpoint-job.ts';
import { keepDescriptor, releaseDeletedIndex } from '../../sqlite/database-file/descriptor.ts';
import type { OpenedFile } from '../../sqlite/database-file/open-same.ts';
import { requireSmallSchema } from '../../sqlite/schema/schema-limit.ts';
import { ConnectionOpener } from './connection-opener.ts';
import { isPrepared, prepare } from './litestream-tables.ts';
import { Writer } from './writer.ts';
import type { BusyOptions } from './writer.ts';

/** What else is open is closed once it was not needed for this long. */
const REST_AFTER_MS = 10_000;

/** A reader sees a handful of pages; SQLite would set memory for many more aside. */
const READER_PAGE_N = 4;

/**
 * Our connections to one database: `writer` writes and holds the write barrier, `checkpointer` checkpoints behind it, and
 * `reader` holds a read transaction (the pin) that keeps the WAL from restarting under us; `spare` takes its place when
 * the pin moves on. Only the reader is always open: of a thousand databases most are at rest.
 */
export class Connections {
  readonly pageSize: number;
  readonly #opener: ConnectionOpener;
  readonly #writer: Writer;
  #reader: SqliteConnection;
  #spare: SqliteConnection | undefined;
  #checkpointer: SqliteConnection | undefined;
  #pinned = false;
  /** When `spare` or `checkpointer` was last used, by the monotonic clock. */
  #usedAtMs = Number.NEGATIVE_INFINITY;

  private constructor(
    opener: ConnectionOpener,
    connections: { rw: SqliteConnection | undefined; reader: SqliteConnection; pageSize: number },
  ) {
    this.#opener = opener;
    this.#writer = new Writer(opener, connections.rw);
    this.#reader = connections.reader;
    this.pageSize = connections.pageSize;
  }

  /**
   * Opens the database, sets WAL mode and creates the two tables of Litestream (Go) if needed, and begins the read transaction
   * that is the pin. Rejects with `DATABASE_CHANGED` if the path leads to another file than this one.
   */
  static async open(
    database: { readonly path: string; readonly file: OpenedFile },
    driver: SqliteDriver,
    options: BusyOptions,
  ): Promise<Connections> {
    const { path } = database;
    const opener = new ConnectionOpener(database, driver);
    const retry = <T>(operation: string, attempt: () => T): Promise<T> =>
      retryBusy(attempt, { ...options, operation, path });
    const reader = opener.open({ readOnly: true });
    let rw: SqliteConnection | undefined;
    try {
      if (!(await retry('open reader', () => isPrepared(reader, path)))) {
        rw = opener.open();
        await prepare(rw, path, retry);
      }
      await refuseSecondLibraryAtOpening(path, driver);
      const pageSize = Number(await retry('page_size', () => reader.get('PRAGMA page_size')?.['page_size']));
      const connections = new Connections(opener, { rw, reader, pageSize });
      reader.exec(`PRAGMA cache_size = ${READER_PAGE_N}; PRAGMA shrink_memory`);
      await retry('pin', () => connections.pin());
      return connections;
    } catch (error) {
      if (hasCode(error, 'DRIVER_CONFLICT')) {
        keepForGood(reader);
        keepForGood(rw);
      } else {
        const index = keepDescriptor(`${path}-shm`);
        rw?.close();
        reader.close();
        if (index !== undefined) releaseDeletedIndex(index);
      }
      throw error;
    }
  }

  /** Connections that are open now. */
  get count(): number {
    const others = [this.#spare, this.#checkpointer].filter((each) => each !== undefined);
    return 1 + (this.#writer.isOpen ? 1 : 0) + others.length;
  }

  get pinned(): boolean {
    return this.#pinned;
  }

  /** Takes the read transaction. Throws SQLite's own error if a lock is in the way. */
  pin(): void {
    if (this.#pinned) return;
    beginRead(this.#reader);
    this.#pinned = true;
  }

  /** Takes the read transaction, waiting for a lock that is in the way. */
  pinWhenFree(options: BusyOptions): Promise<void> {
    return retryBusy(() => this.pin(), { ...options, operation: 'pin', path: this.#opener.path });
  }

  /** Releases the read transaction: from here on the WAL may restart. */
  unpin(): void {
    if (!this.#pinned) return;
    this.#pinned = false;
    this.#reader.exec('ROLLBACK');
  }

  /**
   * Moves the pin to the end of the WAL, so that others may move what lies before it into the database file: the new one
   * is taken before the old one is released. False if a lock was in the way; then the pin stays where it is.
   *
   * Only after everything up to the old pin was read. If all of the WAL is in the database file, the new pin stands on
   * that (slot 0) and the WAL may restart, and the old pin is all that vouches that nothing unread went there.
   */
  movePin(): boolean {
    // Where the WAL was deleted under us, no other program has a use for a pin that moves.
    if (!this.#pinned || !this.#opener.hasWal) return false;
    this.#usedAtMs = performance.now();
    const next = (this.#spare ??= this.#opener.openAnother({ readOnly: true }));
    try {
      beginRead(next);
    } catch (error) {
      if (isBusy(error)) return false;
      throw error;
    }
    this.#spare = this.#reader;
    this.#reader = next;
    this.#spare.exec('ROLLBACK');
    return true;
  }

  /** A connection of its own with a read transaction, for a snapshot that outlives the pin. */
  openPinned(options: BusyOptions): Promise<SqliteConnection> {
    return retryBusy(
      () => {
        // Not for reading only: SQLite keeps the descriptor of a closed connection for the next one of its kind, so this one
        // gets the writer's and leaves no other behind.
        const connection = this.#opener.openWriter();
        try {
          beginRead(connection);
        } catch (error) {
          connection.close();
          throw error;
        }
        return connection;
      },
      { ...options, operation: 'snapshot', path: this.#opener.path },
    );
  }

  /**
   * Writes a row of `_litestream_seq`, and the tables if they are missing, so that the WAL has a header and a commit. If the
   * schema has a trigger or a view there, none of it runs: a value in the header is written again instead.
   */
  bumpSequence(options: BusyOptions): Promise<void> {
    return this.#writer.bumpSequence(options);
  }

  /** Lets SQLite repair a wal-index header that a writer left half-written: each connection that begins to read does. */
  recoverIndex(): void {
    const connection = this.#opener.openAnother({ readOnly: true });
    try {
      beginRead(connection);
      connection.exec('ROLLBACK');
    } catch (error) {
      if (!isBusy(error)) throw error;
    } finally {
      connection.close();
    }
  }

  /**
   * Runs `body` while no other connection can write to the database. It must not wait for anything: an application on this
   * very thread may be trying to write.
   */
  barrier<T>(options: BusyOptions, body: () => T): Promise<T> {
    return this.#writer.barrier(options, body);
  }

  /**
   * Closes what only writing and checkpoints need, if that was not needed for a while. Cheap; may be called at any time. The
   * pin stays, and with it the WAL: a connection that can write deletes it only where no other one is open.
   */
  rest(afterMs: number = REST_AFTER_MS): void {
    if (this.#writer.isInUse || !this.#pinned) return;
    if (performance.now() - Math.max(this.#usedAtMs, this.#writer.usedAtMs) < afterMs) return;
    this.#checkpointer?.close();
    this.#checkpointer = undefined;
    this.#writer.close();
    this.#spare?.close();
    this.#spare = undefined;
  }

  /** One attempt. A lock in the way is told by `busy`, never thrown. */
  checkpoint(mode: CheckpointMode): CheckpointResult {
    this.#usedAtMs = performance.now();
    const checkpointer = (this.#checkpointer ??= this.#opener.openWriter());
    return tracedSync(
      'checkpoint',
      () => ({ path: this.#opener.path, mode }),
      () => runCheckpoint(checkpointer, mode),
    );
  }

  /**
   * A PASSIVE checkpoint in a worker thread, with a connection of its own, or on this thread if no worker can load the
   * library. None of our connections may be closed for good meanwhile.
   */
  async checkpointElsewhere(signal: AbortSignal | undefined): Promise<CheckpointResult> {
    const { path, file, driver } = this.#opener;
    const library = driver.inWorker?.();
    if (library === undefined) return this.checkpoint('PASSIVE');
    this.#opener.requireWal();
    requireSmallSchema(path);
    // The worker's connection takes the descriptor that this one gives up, and the next one takes it over in turn.
    this.#checkpointer?.close();
    this.#checkpointer = undefined;
    const result = await traced(
      'checkpoint',
      () => ({ path, mode: 'PASSIVE' }),
      () => checkpointInWorker({ path, file, library }, signal),
    );
    return result ?? this.checkpoint('PASSIVE');
  }

  /**
   * Closes all connections. Where `keepsWal`, the pinned one last: a connection that cannot write leaves the WAL file where
   * it is, and with it our place in it. Otherwise SQLite removes the WAL, unless another program has the database open.
   */
  close({ keepsWal }: { readonly keepsWal: boolean } = { keepsWal: true }): void {
    const isLast = !keepsWal && this.#opener.hasWal;
    if (isLast) this.#writer.connection();
    this.#checkpointer?.close();
    if (!isLast) this.#writer.close();
    this.#spare?.close();
    this.#reader.close();
    this.#pinned = false;
    this.#writer.close();
  }
}
