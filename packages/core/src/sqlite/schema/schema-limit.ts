/**
 * Limits of the schema of a database. Each connection of SQLite reads the whole schema, on the thread that serves all
 * databases, and cannot be interrupted. So the size is read from the pages first. docs/decisions/0031-schema-limit.md explains the
 * limits and what they cost.
 */
import { LitestreamError } from '../../util/error.ts';
import { readVisibleWal } from '../wal/wal-index.ts';
import type { VisibleWal } from '../wal/wal-index.ts';
import { keepDescriptor } from '../database-file/descriptor.ts';
import { NewestPages } from './newest-pages.ts';
import type { PageReader, TreeLimits } from './table-tree.ts';
import { TreeLimitError, readVarint, tableRows } from './table-tree.ts';

/** Tables, indexes, views and triggers. The time that SQLite takes grows with the square of their number. */
const OBJECT_COUNT_MAX = 20_000;
const BYTES_MAX = 4 * 2 ** 20;
/**
 * `UNIQUE` and `PRIMARY KEY` in one statement: each is an index, and SQLite compares it with every other index of the table.
 */
const KEY_COUNT_MAX = 500;
/** The same, in all statements together. */
const KEY_COUNT_IN_ALL_MAX = OBJECT_COUNT_MAX;
/**
 * Columns of a table × items that its statement lists, summed over all tables: SQLite searches all columns for each column of a
 * key.
 */
const LOOKUP_COUNT_MAX = 200_000_000;
const COLUMN_COUNT_MAX = 2000;

/**
 * The tables of ANALYZE, which SQLite reads with the schema. If they had other columns, SQLite would evaluate their
 * expressions.
 */
const STATISTICS: ReadonlySet<string> = new Set([
  'create table sqlite_stat1(tbl,idx,stat)',
  'create table sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)',
]);
/** 24 samples for each of 4,000 indexes. */
const STATISTICS_LIMITS: TreeLimits = { rows: 100_000, bytes: 16 * 2 ** 20 };

/** Attempts to read a schema that a writer changes meanwhile; the result of the last one is used. */
const ATTEMPTS_MAX = 5;

/**
 * Throws `SCHEMA_TOO_LARGE` if SQLite would need too long to read the schema as it is now. Call before each statement that
 * makes SQLite read it: the first one on a connection, except `BEGIN`, `PRAGMA schema_version` and `PRAGMA page_size`.
 *
 * In WAL mode, call it only after a connection of this process has begun to read: before that, the wal-index may be missing or
 * stale.
 *
 * @param path Of the database file itself, not of a link to it.
 * @param indexFlags How the `-shm` is opened if it is not open yet: its one descriptor is kept for as long as the process runs.
 */
export function requireSmallSchema(path: string, indexFlags: 'r' | 'r+' = 'r'): void {
  const database = keepDescriptor(path);
  if (database === undefined) return;
  const shm = keepDescriptor(`${path}-shm`, indexFlags);
  for (let attempt = 1; ; attempt += 1) {
    const visible = shm && readVisibleWal(shm.fd);
    const index = shm && visible && { fd: shm.fd, visible };
    const excess = excessAt(path, database.fd, index);
    if (excess === undefined) return;
    // A page that was overwritten while it was read proves nothing.
    const isSame = shm === undefined || isUnchanged(visible, readVisibleWal(shm.fd));
    if (isSame || attempt === ATTEMPTS_MAX) throw tooLarge(path, excess);
  }
}

function excessAt(
  path: string,
  databaseFd: number,
  index: { readonly fd: number; readonly visible: VisibleWal } | undefined,
): string | undefined {
  const pages = new NewestPages(path, databaseFd, index);
  try {
    return schemaExcess(pages);
  } finally {
    pages[Symbol.dispose]();
  }
}

function isUnchanged(before: VisibleWal | undefined, after: VisibleWal | undefined): boolean {
  return before?.frameCount === after?.frameCount && before?.salt1 === after?.salt1 && before?.salt2 === after?.salt2;
}

/** Continues "the schema has …"; undefined: the schema is within the limits. */
export function schemaExcess(pages: PageReader): string | undefined {
  let keyCount = 0;
  let lookupCount = 0;
  try {
    for (const record of tableRows(pages, 1, { rows: OBJECT_COUNT_MAX, bytes: BYTES_MAX })) {
      const text = textOf(record);
      const keys = text.match(/unique|primary/g)?.length ?? 0;
      keyCount += keys;
      if (keys > KEY_COUNT_MAX) return `a table with more than ${KEY_COUNT_MAX} keys`;
      if (keyCount > KEY_COUNT_IN_ALL_MAX) return `more than ${KEY_COUNT_IN_ALL_MAX} keys`;
      lookupCount += lookupsOf(columnsOf(record).sql);
      if (lookupCount > LOOKUP_COUNT_MAX) return 'tables with too many columns and keys';
      if (/sqlite_stat[14]/.test(text)) {
        const fault = statisticsExcess(pages, record);
        if (fault !== undefined) return fault;
      }
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof TreeLimitError)) throw error;
    return error.limit === 'rows' ? `more than ${OBJECT_COUNT_MAX} objects` : `more than ${BYTES_MAX / 2 ** 20} MB`;
  }
}

/** Cost of a row of the schema: an upper bound of the work of SQLite. */
function lookupsOf(sql: string): number {
  if (/^create (view|trigger) /.test(sql)) return 0;
  const listed = sql.split(',').length;
  return listed * Math.min(listed, COLUMN_COUNT_MAX);
}

/** Checks a row whose statement names a table of ANALYZE: whether it is the table itself, and how large that table is. */
function statisticsExcess(pages: PageReader, record: Buffer): string | undefined {
  const { sql, rootPage } = columnsOf(record);
  // No such statement creates a table.
  if (/^create (unique index|index|view|trigger) /.test(sql)) return undefined;
  // Rows of indexes that SQLite made by itself have no statement.
  if (sql === '') return undefined;
  if (!STATISTICS.has(sql) || rootPage === undefined) return 'a table of ANALYZE that SQLite did not make';
  try {
    // oxlint-disable-next-line no-unused-vars -- counts them
    for (const _ of tableRows(pages, rootPage, STATISTICS_LIMITS));
    return undefined;
  } catch (error) {
    if (!(error instanceof TreeLimitError)) throw error;
    return 'too many rows in a table of ANALYZE';
  }
}

/** Text in any encoding, in lower case: in UTF-16, the characters that matter here have a zero byte. */
function textOf(bytes: Buffer): string {
  return bytes.toString('latin1').replaceAll('\0', '').toLowerCase();
}

/** The last two columns of a row of `sqlite_schema`: type, name, tbl_name, rootpage, sql. */
function columnsOf(record: Buffer): { readonly sql: string; readonly rootPage: number | undefined } {
  const header = readVarint(record, 0);
  let at = header.end;
  let content = header.value;
  const columns: { readonly type: number; readonly bytes: Buffer }[] = [];
  for (let column = 0; column < 5 && at < header.value; column += 1) {
    const type = readVarint(record, at);
    const size = sizeOf(type.value);
    columns.push({ type: type.value, bytes: record.subarray(content, content + size) });
    at = type.end;
    content += size;
  }
  const [, , , root, sql] = columns;
  return { sql: textOf(sql?.bytes ?? Buffer.alloc(0)), rootPage: root && integerOf(root.type, root.bytes) };
}

/** Bytes of a value with this serial type (section 2.1). */
function sizeOf(type: number): number {
  if (type >= 12) return Math.floor((type - 12) / 2);
  return [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0][type] ?? 0;
}

/** A page number; undefined if the value is not one. */
function integerOf(type: number, bytes: Buffer): number | undefined {
  if (type === 9) return 1;
  if (type < 1 || type > 5 || bytes.length === 0) return undefined;
  return bytes.readUIntBE(0, bytes.length);
}

function tooLarge(path: string, excess: string): LitestreamError {
  return new LitestreamError(`the schema has ${excess}: ${path}`, {
    code: 'SCHEMA_TOO_LARGE',
    operation: 'open',
    object: path,
    hint: `Drop tables, indexes, views and triggers that the application does not need, or split the database. The limits are ${BYTES_MAX / 2 ** 20} MB, ${OBJECT_COUNT_MAX} objects, and ${KEY_COUNT_MAX} keys in a table; the tables of ANALYZE must have the columns that SQLite gives them.`,
  });
}
