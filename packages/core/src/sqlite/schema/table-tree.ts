/**
 * The rows of a table, read from its pages without SQLite (SQLite's file format document, section 1.6). The pages may have any
 * content: every loop has a bound, and where SQLite would report a damaged database, the rows end.
 */

export interface PageReader {
  /** Bytes; 0: there are no pages. */
  readonly pageSize: number;
  /** Undefined: there is no such page. */
  read(pgno: number): Buffer | undefined;
}

export interface TreeLimits {
  readonly rows: number;
  /** Limits on all rows together. */
  readonly bytes: number;
}

/** Thrown by `tableRows`. */
export class TreeLimitError extends Error {
  readonly limit: keyof TreeLimits;

  constructor(limit: keyof TreeLimits) {
    super(`more than the limit of ${limit}`);
    this.limit = limit;
  }
}

const INTERIOR = 5;
const LEAF = 13;
/** SQLite's `BTCURSOR_MAX_DEPTH`. */
const DEPTH_MAX = 20;
/** Maximum page visits, because empty pages take time, too. A page counts each time that it is visited. */
const PAGE_VISITS_MAX = 100_000;

/** The content of each row: a record. Throws `TreeLimitError` before a row that exceeds a limit is read. */
export function* tableRows(pages: PageReader, root: number, limits: TreeLimits): Generator<Buffer, void, undefined> {
  if (pages.pageSize === 0) return;
  const reserved = pages.read(1)?.[20] ?? 0;
  const usable = pages.pageSize - reserved;
  let visits = 0;
  let rows = 0;
  let bytes = 0;
  yield* visit(root, 1);

  function* visit(pgno: number, depth: number): Generator<Buffer, void, undefined> {
    if (++visits > PAGE_VISITS_MAX) throw new TreeLimitError('bytes');
    const page = depth > DEPTH_MAX ? undefined : pages.read(pgno);
    if (page === undefined) return;
    const start = pgno === 1 ? 100 : 0;
    const isLeaf = page[start] === LEAF;
    if (!isLeaf && page[start] !== INTERIOR) return;
    const count = page.readUInt16BE(start + 3);
    const pointers = start + (isLeaf ? 8 : 12);
    if (pointers + 2 * count > page.length) return;
    for (let index = 0; index < count; index += 1) {
      const at = page.readUInt16BE(pointers + 2 * index);
      if (at + 4 > page.length) return;
      if (isLeaf) yield rowAt(page, at);
      else yield* visit(page.readUInt32BE(at), depth + 1);
    }
    if (!isLeaf) yield* visit(page.readUInt32BE(start + 8), depth + 1);
  }

  function rowAt(page: Buffer, at: number): Buffer {
    const size = readVarint(page, at);
    rows += 1;
    bytes += size.value;
    if (rows > limits.rows) throw new TreeLimitError('rows');
    if (bytes > limits.bytes) throw new TreeLimitError('bytes');
    const content = readVarint(page, size.end).end;
    const local = localSize(size.value, usable);
    const parts = [page.subarray(content, content + local)];
    let next = local < size.value && content + local + 4 <= page.length ? page.readUInt32BE(content + local) : 0;
    for (let missing = size.value - local; missing > 0 && next !== 0; missing -= usable - 4) {
      const overflow = pages.read(next);
      if (overflow === undefined) break;
      parts.push(overflow.subarray(4, 4 + Math.min(missing, usable - 4)));
      next = overflow.readUInt32BE(0);
    }
    return parts.length === 1 ? (parts[0] ?? page) : Buffer.concat(parts);
  }
}

/** Bytes of a row that are on its page (section 1.6: X, M and K). */
function localSize(size: number, usable: number): number {
  const max = usable - 35;
  if (size <= max) return size;
  const min = Math.floor(((usable - 12) * 32) / 255) - 23;
  const most = min + ((size - min) % (usable - 4));
  return most <= max ? most : min;
}

/** A large number loses its last digits, which are not needed here. Bytes after the end read as 0. */
export function readVarint(bytes: Uint8Array, at: number): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let index = 0; index < 8; index += 1) {
    const byte = bytes[at + index] ?? 0;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return { value, end: at + index + 1 };
  }
  return { value: value * 256 + (bytes[at + 8] ?? 0), end: at + 9 };
}
