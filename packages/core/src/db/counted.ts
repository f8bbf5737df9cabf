/**
 * Does SQLite count the last transaction that was read?
 *
 * A writer makes its frames durable before it tells the wal-index of them (`sqlite3WalFrames`, `walIndexWriteHdr` in
 * SQLite's `wal.c`). Killed in between, or stopped by its disk, it leaves a transaction that is whole in the log, and that
 * nobody counts while the index lives, which it does as long as anybody, we above all, has the database open: the next
 * writer overwrites it from its first frame on, or begins a new log. What follows a transaction was written by somebody
 * who counted it; so only the last one can be such a leftover.
 */
import { readSync } from 'node:fs';
import type { WalScan, WalScanStart } from '../wal/scan.ts';
import { scanWal } from '../wal/scan.ts';
import type { WalFile } from '../wal/wal-file.ts';
import type { WalHeader } from '../wal/wal-header.ts';
import { WAL_FRAME_HEADER_SIZE, sameSalts, walSizeOf } from '../wal/wal-header.ts';
import type { CheckpointResult } from './connections.ts';
import type { Session } from './session.ts';
import type { Steps } from './steps.ts';
import { runNow } from './steps.ts';

/** Pages that are compared at most: of a longer transaction only a checkpoint tells. */
export const COMPARED_PAGES_MAX = 16_384;
/** Pages that are kept in memory while the pin moves. */
const COPIED_PAGES_MAX = 64;

/** Is the last transaction still in the log as it was read? Asked where nothing was found behind it. */
export function* isStillInLog(session: Session, header: WalHeader): Steps<boolean> {
  const { unproven, last, endSums, wal } = session;
  if (unproven === undefined || last === undefined || !sameSalts(last, header)) return true;
  const { endOffset, sums } = yield* scanWal(wal, header, unproven, { endOffsetMax: last.endOffset });
  return endOffset === last.endOffset && sums.s0 === endSums?.s0 && sums.s1 === endSums.s1;
}

/** A database file and its log. */
export interface DatabasePlace {
  readonly databaseFd: number;
  readonly wal: WalFile;
  readonly pageSize: number;
}

export function placeOf({ descriptor, wal, pageSize }: Session): DatabasePlace {
  return { databaseFd: descriptor.fd, wal, pageSize };
}

/**
 * Is the last transaction that a scan found in the database file? Only what SQLite counts gets there. False where it is too
 * long to say.
 */
export function* isLastInDatabase(
  { databaseFd, wal, pageSize }: DatabasePlace,
  generation: WalHeader,
  { lastStart, endOffset }: Pick<WalScan, 'lastStart' | 'endOffset'>,
  isSuperseded: (pgno: number) => boolean = () => false,
): Steps<boolean> {
  if (lastStart === undefined) return true;
  const { pages } = yield* scanWal(wal, generation, lastStart, { endOffsetMax: endOffset });
  if (pages.size > COMPARED_PAGES_MAX) return false;
  const page = new Uint8Array(pageSize);
  for (const [pgno, offset] of pages) {
    if (isSuperseded(pgno)) continue;
    if (wal.read(page, offset + WAL_FRAME_HEADER_SIZE) < pageSize) return false;
    if (!isPageInDatabase(databaseFd, pgno, page)) return false;
  }
  return true;
}

/**
 * Behind the write barrier, after all of the log was read and the pin was taken anew: SQLite counts as many frames, or it
 * does not. Where another checkpoint kept ours from saying so, the database file may tell.
 */
export function learnFromCheckpoint(session: Session, { log }: CheckpointResult): void {
  const { last } = session;
  if (last === undefined || session.unproven === undefined) return;
  if (log >= 0) {
    if (walSizeOf(last.pageSize, log) === last.endOffset) session.unproven = undefined;
    return;
  }
  const doubtful = lastInDoubt(session);
  if (doubtful === undefined) return;
  if (runNow(isLastInDatabase(placeOf(session), doubtful.header, doubtful))) session.unproven = undefined;
}

/** The last transaction, while it is not proven and the log has not started over. */
function lastInDoubt({
  unproven,
  last,
  wal,
}: Session): { readonly header: WalHeader; readonly lastStart: WalScanStart; readonly endOffset: number } | undefined {
  if (unproven === undefined || last === undefined) return undefined;
  const header = wal.header();
  if (header === undefined || !sameSalts(last, header)) return undefined;
  return { header, lastStart: unproven, endOffset: last.endOffset };
}

/** The pages of the last transaction as the log has them now, if that is not proven yet and they are few. */
export function copyLastPages(session: Session): ReadonlyMap<number, Uint8Array> | undefined {
  const { wal, pageSize } = session;
  const doubtful = lastInDoubt(session);
  if (doubtful === undefined) return undefined;
  const { header, lastStart, endOffset } = doubtful;
  if (endOffset > lastStart.offset + walSizeOf(pageSize, COPIED_PAGES_MAX)) return undefined;
  const { pages, endOffset: found } = runNow(scanWal(wal, header, lastStart, { endOffsetMax: endOffset }));
  if (found !== endOffset) return undefined;
  const copies = new Map<number, Uint8Array>();
  for (const [pgno, offset] of pages) {
    const page = new Uint8Array(pageSize);
    wal.read(page, offset + WAL_FRAME_HEADER_SIZE);
    copies.set(pgno, page);
  }
  return copies;
}

/** If these pages of the last transaction are in the database file, SQLite counts it. */
export function learnFromDatabase(session: Session, lastPages: ReadonlyMap<number, Uint8Array>): void {
  for (const [pgno, page] of lastPages) if (!isPageInDatabase(session.descriptor.fd, pgno, page)) return;
  session.unproven = undefined;
}

export function isPageInDatabase(databaseFd: number, pgno: number, page: Uint8Array): boolean {
  const found = new Uint8Array(page.length);
  const size = readSync(databaseFd, found, 0, found.length, (pgno - 1) * page.length);
  return size === page.length && Buffer.compare(found, page) === 0;
}
