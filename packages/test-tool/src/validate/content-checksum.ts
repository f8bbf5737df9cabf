/**
 * A checksum of the content of a database, independent of its pages: the schema and every row, with types. Two files with the
 * same rows can differ in every page (VACUUM, free pages, change counters), and a part of the source is in its WAL, so a
 * checksum of files would prove nothing.
 */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { quoteName } from '../util/sqlite.ts';
import { tablesOf } from '../util/tables.ts';
import type { Table } from '../util/tables.ts';

export interface TableChecksum {
  readonly rowCount: number;
  /** SHA-256, hex. */
  readonly checksum: string;
}

export interface ContentChecksum {
  /** SHA-256 over schema, settings and tables, hex. */
  readonly checksum: string;
  readonly tables: ReadonlyMap<string, TableChecksum>;
}

/** Settings in the database that change the meaning of its content. */
const PRAGMAS = ['encoding', 'user_version', 'application_id', 'auto_vacuum'] as const;

/**
 * Reads all rows, without Litestream's own tables. If other connections write, the caller must have a read transaction
 * open.
 */
export function contentChecksum(database: DatabaseSync): ContentChecksum {
  const whole = createHash('sha256');
  for (const pragma of PRAGMAS) {
    whole.update(`${pragma}=${String(Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0])}\n`);
  }
  const schema = database.prepare(
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE tbl_name NOT LIKE '\\_litestream\\_%' ESCAPE '\\' ORDER BY type, name",
  );
  for (const row of schema.all()) whole.update(`${JSON.stringify(row)}\n`);
  const tables = new Map<string, TableChecksum>();
  for (const table of tablesOf(database)) {
    const checked = tableChecksum(database, table);
    tables.set(table.name, checked);
    whole.update(`${JSON.stringify([table.name, checked.rowCount, checked.checksum])}\n`);
  }
  return { checksum: whole.digest('hex'), tables };
}

function tableChecksum(database: DatabaseSync, { name, key }: Table): TableChecksum {
  const keys = key.join(', ');
  const rows = database.prepare(`SELECT ${keys}, * FROM ${quoteName(name)} ORDER BY ${keys}`);
  rows.setReadBigInts(true);
  rows.setReturnArrays(true);
  const writer = new RowHasher();
  let rowCount = 0;
  for (const row of rows.iterate()) {
    writer.add(row as unknown as readonly SQLOutputValue[]);
    rowCount += 1;
  }
  return { rowCount, checksum: writer.digest() };
}

const BUFFER_SIZE = 64 * 1024;
const NULL = 0;
const INTEGER = 1;
const REAL = 2;
const TEXT = 3;
const BLOB = 4;
/** Type and length, or type and number. */
const HEAD_SIZE = 9;

/** Hashes each value of a row with its type and length, so that different rows have different input. */
class RowHasher {
  readonly #hash: Hash = createHash('sha256');
  readonly #buffer: Buffer = Buffer.allocUnsafe(BUFFER_SIZE);
  #used = 0;

  add(row: readonly SQLOutputValue[]): void {
    for (const value of row) this.#addValue(value);
  }

  digest(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #addValue(value: SQLOutputValue): void {
    if (this.#used + HEAD_SIZE > BUFFER_SIZE) this.#flush();
    const at = this.#used;
    this.#used += HEAD_SIZE;
    if (value === null) {
      this.#buffer.fill(NULL, at, at + HEAD_SIZE);
    } else if (typeof value === 'bigint') {
      this.#buffer[at] = INTEGER;
      this.#buffer.writeBigInt64LE(value, at + 1);
    } else if (typeof value === 'number') {
      this.#buffer[at] = REAL;
      this.#buffer.writeDoubleLE(value, at + 1);
    } else {
      const bytes = typeof value === 'string' ? Buffer.from(value) : value;
      this.#buffer[at] = typeof value === 'string' ? TEXT : BLOB;
      this.#buffer.writeDoubleLE(bytes.length, at + 1);
      this.#addBytes(bytes);
    }
  }

  #addBytes(bytes: Uint8Array): void {
    if (this.#used + bytes.length > BUFFER_SIZE) this.#flush();
    if (bytes.length > BUFFER_SIZE) {
      this.#hash.update(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #flush(): void {
    this.#hash.update(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}
