import { randomFillSync } from 'node:crypto';
import { lstatSync, rmSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { LitestreamError } from '@litestream/core';
import { openDatabase } from '../util/sqlite.ts';

export interface PopulateOptions {
  /** Path of the database. An existing one is replaced. */
  readonly path: string;
  /** Size of the database, in bytes. */
  readonly targetSize: number;
  /** Bytes of the blob in each row. */
  readonly rowSize: number;
  /** Rows in a transaction. */
  readonly batchSize: number;
  readonly tableCount: number;
  /** Share of the columns, without the blob, that get an index: 0 to 1. */
  readonly indexRatio: number;
  /** 512 to 65,536, a power of two. */
  readonly pageSize: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after each transaction with the size so far, in bytes. */
  readonly onProgress?: ((size: number) => void) | undefined;
}

export interface PopulateResult {
  readonly size: number;
  readonly pageSize: number;
  readonly rowCount: number;
  readonly durationMs: number;
}

const INDEXABLE = [
  ['timestamp', 'timestamp'],
  ['int', 'int_field'],
  ['float', 'float_field'],
  ['text', 'text_field'],
] as const;

const SUFFIXES = ['', '-wal', '-shm', '-journal'];

/** Regular files only: a link, a device or a pipe serves another purpose. */
function requireReplaceable(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined || stats.isFile()) return;
  throw new LitestreamError(`cannot replace, not a regular file: ${path}`, {
    code: 'OUTPUT_EXISTS',
    object: path,
    hint: 'Give the path of a database, or of a file that does not exist yet.',
  });
}

/**
 * Creates a database in WAL mode and fills its tables `test_table_0`, `test_table_1`, … with rows that do not compress, until
 * it has the target size. On an abort, rejects with the signal's reason and keeps the rows written so far.
 */
export async function populate(options: PopulateOptions): Promise<PopulateResult> {
  check(options);
  const { path, targetSize, tableCount, indexRatio, pageSize, signal } = options;
  for (const suffix of SUFFIXES) requireReplaceable(path + suffix);
  for (const suffix of SUFFIXES) rmSync(path + suffix, { force: true });
  const startMs = performance.now();
  const database = openDatabase(path, { create: true, pageSize });
  let rowCount = 0;
  try {
    // A new database has no data to lose, so it is synced to disk only once, at the end.
    database.exec('PRAGMA synchronous = OFF');
    for (let table = 0; table < tableCount; table += 1) createTable(database, `test_table_${table}`, indexRatio);
    for (let table = 0; table < tableCount; table += 1) {
      const size = (targetSize * (table + 1)) / tableCount;
      for await (const count of fill(database, `test_table_${table}`, size, options)) {
        rowCount += count;
        signal?.throwIfAborted();
      }
    }
    database.exec('PRAGMA synchronous = FULL');
  } finally {
    // The last connection moves the WAL into the database and deletes it.
    database.close();
  }
  return { size: statSync(path).size, pageSize, rowCount, durationMs: performance.now() - startMs };
}

function check({ path, pageSize, targetSize, rowSize, batchSize, tableCount, indexRatio }: PopulateOptions): void {
  if (path === '') throw invalid('database path required');
  if (pageSize < 512 || pageSize > 65_536 || !Number.isInteger(Math.log2(pageSize))) {
    throw invalid(`page size must be a power of two from 512 to 65536, not ${pageSize}`);
  }
  for (const [name, value] of Object.entries({ targetSize, rowSize, batchSize, tableCount })) {
    if (!Number.isSafeInteger(value) || value < 1) throw invalid(`${name} must be a whole number from 1, not ${value}`);
  }
  if (!(indexRatio >= 0 && indexRatio <= 1)) throw invalid(`index ratio must be between 0 and 1, not ${indexRatio}`);
}

function createTable(database: DatabaseSync, table: string, indexRatio: number): void {
  database.exec(`
    CREATE TABLE ${table} (
      id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB, text_field TEXT, int_field INTEGER, float_field REAL, timestamp INTEGER
    )`);
  for (const [name, column] of INDEXABLE.slice(0, Math.round(INDEXABLE.length * indexRatio))) {
    database.exec(`CREATE INDEX idx_${table}_${name} ON ${table} (${column})`);
  }
}

/** Inserts, transaction by transaction, until the database has `size` bytes; yields the rows of each. */
async function* fill(
  database: DatabaseSync,
  table: string,
  size: number,
  { rowSize, batchSize, pageSize, onProgress }: PopulateOptions,
): AsyncGenerator<number> {
  const columns = 'data, text_field, int_field, float_field, timestamp';
  const insert = database.prepare(`INSERT INTO ${table} (${columns}) VALUES (?, ?, ?, ?, ?)`);
  const pageCount = database.prepare('PRAGMA page_count');
  const data = new Uint8Array(rowSize);
  for (let row = 0; ;) {
    const reached = Number(pageCount.get()?.['page_count']) * pageSize;
    onProgress?.(reached);
    if (reached >= size) return;
    // A row is larger than its blob: with half of the remaining rows each, the last transactions do not exceed the size.
    const count = Math.min(batchSize, Math.ceil((size - reached) / rowSize / 2));
    database.exec('BEGIN IMMEDIATE');
    for (let each = 0; each < count; each += 1, row += 1) {
      randomFillSync(data);
      const integer = BigInt(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER));
      insert.run(data, `${table} row ${row}`, integer, Math.random() * 1000, BigInt(Math.floor(Date.now() / 1000)));
    }
    database.exec('COMMIT');
    yield count;
    // Lets the event loop handle signals.
    await setImmediate();
  }
}

function invalid(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'populate' });
}
