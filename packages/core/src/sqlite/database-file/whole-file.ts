/** Does a database file that is at rest, or whose writer was killed, hold every page? Read without SQLite. */
import { readSync } from 'node:fs';
import { lockPageNumber } from '@litestream/ltx';
import { scanWal } from '../wal/wal-scan.ts';
import { WalFile } from '../wal/wal-file.ts';
import { WAL_HEADER_SIZE } from '../wal/wal-header.ts';
import type { DatabaseHeader } from './database-header.ts';

/** Offset in the header of the first trunk page of the freelist (SQLite's file format document, section 1.3). */
const FIRST_TRUNK_OFFSET = 32;

/** In bytes. A longer WAL is not read for this: then the file must be quiet for the longer time. */
const WAL_SIZE_MAX = 1024 * 1024 * 1024;

/** How many pages before the end of a file are examined. */
const SKIPPED_PAGES_MAX = 1_000_000;

export interface QuietDatabase {
  readonly path: string;
  readonly fd: number;
  readonly header: DatabaseHeader;
  /** Of the database file, in bytes. */
  readonly size: bigint;
}

/** Cheap, and right for most databases: the file has its full length, and does not end with zeros as a preallocated one. */
export function isWholeBySize({ fd, header, size }: QuietDatabase): boolean {
  const { pageCount, pageSize } = header;
  if (pageCount === undefined || size < BigInt(pageCount) * BigInt(pageSize)) return false;
  return !isZero(fd, pageCount, pageSize);
}

/**
 * The same, if the end of the file proves nothing: a checkpoint was interrupted, or SQLite overwrote free pages with zeros
 * (`secure_delete`). Each page behind the end of the file must be in a committed frame of the WAL, and the last page that
 * is neither free nor in the WAL must not be zeros. Reads the WAL to its end.
 */
export function isWholeWithWal({ path, fd, header, size }: QuietDatabase): boolean {
  const wal = committedPages(path, header.pageSize);
  if (wal === undefined) return false;
  const pageCount = Math.max(wal.commit, header.pageCount ?? 0);
  const filePageCount = Math.min(pageCount, Number(size / BigInt(header.pageSize)));
  const lockPage = lockPageNumber(header.pageSize);
  for (let pgno = filePageCount + 1; pgno <= pageCount; pgno++) {
    if (pgno !== lockPage && !wal.pages.has(pgno)) return false;
  }
  const free = freePages(fd, header, filePageCount);
  if (free === undefined) return false;
  for (let pgno = filePageCount; pgno >= Math.max(1, filePageCount - SKIPPED_PAGES_MAX); pgno--) {
    if (pgno === lockPage || free.has(pgno) || wal.pages.has(pgno)) continue;
    return !isZero(fd, pgno, header.pageSize);
  }
  // All examined pages are free or in the WAL: then a WAL with a commit is the proof.
  return wal.commit > 0;
}

/** The pages that SQLite would recover from the WAL; none without a WAL. Undefined if the WAL is too long to read. */
function committedPages(
  path: string,
  pageSize: number,
): { commit: number; pages: ReadonlyMap<number, number> } | undefined {
  const none = { commit: 0, pages: new Map<number, number>() };
  const wal = new WalFile(`${path}-wal`);
  try {
    if (!wal.refresh().exists) return none;
    if (wal.size() > WAL_SIZE_MAX) return undefined;
    const header = wal.header();
    if (header === undefined || header.pageSize !== pageSize) return none;
    const { s0, s1 } = header;
    const scan = scanWal(wal, header, { offset: WAL_HEADER_SIZE, sums: { s0, s1 } });
    let step = scan.next();
    while (step.done !== true) step = scan.next();
    return step.value;
  } finally {
    wal.close();
  }
}

/** The leaves of the freelist, whose bytes mean nothing. Undefined if the list is not whole in the file. */
function freePages(fd: number, { pageSize }: DatabaseHeader, pageCount: number): ReadonlySet<number> | undefined {
  const free = new Set<number>();
  const page = Buffer.alloc(pageSize);
  readSync(fd, page, 0, FIRST_TRUNK_OFFSET + 4, 0);
  let trunk = page.readUInt32BE(FIRST_TRUNK_OFFSET);
  for (let trunks = 0; trunk !== 0; trunks++) {
    if (trunk > pageCount || trunks > pageCount) return undefined;
    if (readSync(fd, page, 0, pageSize, BigInt(trunk - 1) * BigInt(pageSize)) < pageSize) return undefined;
    const count = page.readUInt32BE(4);
    if (page.every((byte) => byte === 0) || count > pageSize / 4 - 2) return undefined;
    for (let index = 0; index < count; index++) free.add(page.readUInt32BE(8 + 4 * index));
    trunk = page.readUInt32BE(0);
  }
  return free;
}

function isZero(fd: number, pgno: number, pageSize: number): boolean {
  const page = Buffer.alloc(pageSize);
  const count = readSync(fd, page, 0, pageSize, BigInt(pgno - 1) * BigInt(pageSize));
  return page.subarray(0, count).every((byte) => byte === 0);
}
