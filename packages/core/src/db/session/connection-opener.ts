import { existsSync } from 'node:fs';
import type { SqliteConnection, SqliteDriver } from '../../sqlite/driver/sqlite-driver.ts';
import { LitestreamError } from '../../util/error.ts';
import { setUpWriter } from '../../sqlite/checkpoint/checkpoint-call.ts';
import { openSame } from '../../sqlite/database-file/open-same.ts';
import type { OpenedFile } from '../../sqlite/database-file/open-same.ts';
import { requireSmallSchema } from '../../sqlite/schema/schema-limit.ts';

/** Opens connections to one database file. */
export class ConnectionOpener {
  readonly path: string;
  readonly file: OpenedFile;
  readonly driver: SqliteDriver;

  constructor(database: { readonly path: string; readonly file: OpenedFile }, driver: SqliteDriver) {
    this.path = database.path;
    this.file = database.file;
    this.driver = driver;
  }

  /** Throws `DATABASE_CHANGED` if the path leads to another file than this one. */
  open(options: { readOnly?: boolean } = {}): SqliteConnection {
    return openSame(this.file, this.path, () => this.driver.open(this.path, options));
  }

  /**
   * As `open`, beside connections that are open. Where the WAL was deleted under them, a new connection would make a second one,
   * and ruin the database with it: throws `WAL_LOST` then.
   */
  openAnother(options: { readOnly?: boolean } = {}): SqliteConnection {
    this.requireWal();
    return this.open(options);
  }

  /** A connection that can write, and checkpoint. */
  openWriter(): SqliteConnection {
    const connection = this.openAnother();
    try {
      requireSmallSchema(this.path);
      setUpWriter(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  get hasWal(): boolean {
    return existsSync(`${this.path}-wal`);
  }

  requireWal(): void {
    if (this.hasWal) return;
    const wal = `${this.path}-wal`;
    throw new LitestreamError(`the -wal file was deleted while in use: ${wal}`, {
      code: 'WAL_LOST',
      retryable: true,
      operation: 'open',
      object: wal,
      hint: 'Close all connections to this database; the last one to close checkpoints the WAL. Then open it again.',
    });
  }
}
