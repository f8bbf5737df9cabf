import { scanWal, storedSums } from '../wal/scan.ts';
import type { WalScanStart } from '../wal/scan.ts';
import type { WalFile } from '../wal/wal-file.ts';
import type { WalHeader, WalSums } from '../wal/wal-header.ts';
import { FRAME_SALTS_OFFSET, WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE, sameSalts } from '../wal/wal-header.ts';
import { COMPARED_PAGES_MAX, isLastInDatabase, isPageInDatabase } from './counted.ts';
import type { DatabasePlace } from './counted.ts';
import type { LocalLtx } from './local-ltx.ts';
import { LocalPages } from './local-pages.ts';
import { areFramesOfFiles } from './same-frames.ts';
import type { LastFile } from './session.ts';
import { runGently } from './steps.ts';

/** The generation of the log that begins where the last file's generation ended. */
export interface Successor {
  readonly salt1: number;
  readonly salt2: number;
  /** Cumulative checksum at the end of the last file. */
  readonly endSums: WalSums;
  /** There are frames of the last file's own generation, behind the new ones, that are not read yet. */
  readonly tailUnread: boolean;
}

/** What the log proves about the last file's end: it is the same log, or its direct successor, or neither. */
export interface Comparison {
  /** Cumulative checksum at the end of the last file, if the log still is the one that it was cut from. */
  readonly endSums: WalSums | undefined;
  /** Where the last transaction begins, if it is not proven that SQLite counts it: see `counted.ts`. */
  readonly unproven: WalScanStart | undefined;
  /** The generation that follows, if the log restarted once since. */
  readonly successor: Successor | undefined;
}

export const NEITHER: Comparison = { endSums: undefined, unproven: undefined, successor: undefined };

/** The last local file, among those before it, the log, and the database file. */
export interface FileEnd {
  readonly databaseFd: number;
  readonly wal: WalFile;
  readonly level0: LocalLtx;
  readonly last: LastFile;
}

/** Compares the end of the last file, found on start, with the log. A read transaction is held while this runs. */
export async function compareWithLog(end: FileEnd): Promise<Comparison> {
  const { wal, last } = end;
  wal.refresh();
  const header = wal.header();
  if (header === undefined || header.pageSize !== last.pageSize) return NEITHER;
  if (sameSalts(header, last)) return await proveEnd(header, end);
  if (header.salt1 !== (last.salt1 + 1) >>> 0) return NEITHER;
  return { ...NEITHER, successor: await proveSuccessor(header, end) };
}

/**
 * The cumulative checksum at the end of the last file, if the log holds, unbroken from its header, the very frames that
 * the file was cut from: same salts, a commit at its end, and the newest frame of each page equal to the page in the files.
 */
async function proveEnd(header: WalHeader, end: FileEnd): Promise<Comparison> {
  const { wal, last } = end;
  const seed = { s0: header.s0, s1: header.s1 };
  if (last.endOffset === WAL_HEADER_SIZE) return { ...NEITHER, endSums: seed };
  const start = { offset: WAL_HEADER_SIZE, sums: seed };
  const scan = await runGently(scanWal(wal, header, start, { endOffsetMax: last.endOffset }));
  if (scan.endOffset !== last.endOffset) return NEITHER;
  const endSums = await endFrame(end);
  if (endSums === undefined || !(await areFramesOfFiles(scan.pages, end))) return NEITHER;
  // Where all of the log is in the database file it may restart, and nothing but that file tells of the last commit then.
  const isCounted = await runGently(isLastInDatabase(placeOf(end), header, scan));
  return { endSums, unproven: isCounted ? undefined : scan.lastStart, successor: undefined };
}

/** Is all of the last file in the database file? Asked where it cannot be told any more where its last transaction begins. */
async function isFileInDatabase(
  { level0, last, databaseFd }: FileEnd,
  isSuperseded: (pgno: number) => boolean,
): Promise<boolean> {
  using file = new LocalPages(level0.path(last.txid, last.txid));
  const pgnos = await file.pgnos();
  if (pgnos.length > COMPARED_PAGES_MAX) return false;
  for (const pgno of pgnos) {
    if (isSuperseded(pgno)) continue;
    const page = await file.read(pgno);
    if (page === undefined || !isPageInDatabase(databaseFd, pgno, page)) return false;
  }
  return true;
}

/**
 * The log restarted exactly once while nobody followed it. Its new frames overwrite the old ones from the start of the
 * file on, one after the other: as long as they have not reached the end of the last file, all that the old generation
 * held beyond that end is still there, and the new generation begins where the old one stops.
 */
async function proveSuccessor(header: WalHeader, end: FileEnd): Promise<Successor | undefined> {
  const { wal, last } = end;
  const frameSize = WAL_FRAME_HEADER_SIZE + last.pageSize;
  if (last.endOffset < WAL_HEADER_SIZE + frameSize) return undefined;
  const endSums = await endFrame(end);
  if (endSums === undefined) return undefined;

  // What is left of the old generation up to that end must be one chain: else the old log, too, was written anew.
  const begin = { offset: WAL_HEADER_SIZE, sums: { s0: header.s0, s1: header.s1 } };
  const fresh = await runGently(scanWal(wal, header, begin, { endOffsetMax: last.endOffset }));
  const first = fresh.endOffset + fresh.uncommittedSize;
  const old = { ...header, salt1: last.salt1, salt2: last.salt2 };
  const frame = new Uint8Array(WAL_FRAME_HEADER_SIZE);
  if (wal.read(frame, first) < frame.length || !hasSalts(frame, old)) return undefined;
  const chain = { offset: first + frameSize, sums: storedSums(frame) };
  const before = await runGently(scanWal(wal, old, chain, { endOffsetMax: last.endOffset }));
  if (before.endOffset + before.uncommittedSize !== last.endOffset) return undefined;
  if (!(await areFramesOfFiles(before.pages, end))) return undefined;

  // Behind it, a whole frame that does not belong to the chain proves that the old generation was no longer, and so does
  // the exact end of the file. A file cut in mid-frame was truncated (journal_size_limit), and frames may be missing.
  const tail = await runGently(scanWal(wal, old, { offset: last.endOffset, sums: endSums }));
  const tailEnd = tail.endOffset + tail.uncommittedSize;
  const rest = wal.size() - tailEnd;
  if (rest !== 0 && rest < frameSize) return undefined;
  // What SQLite did not count of the old generation, the new one does not go on from. In the database file there may be
  // newer pages by now, and these are in the new generation.
  const isSuperseded = (pgno: number): boolean => fresh.pages.has(pgno) || (fresh.commit > 0 && pgno > fresh.commit);
  const isWhole = before.lastStart !== undefined && before.lastStart.offset > chain.offset;
  const withLast = tail.commit > 0 ? tail : isWhole ? before : undefined;
  const isCounted =
    withLast === undefined
      ? await isFileInDatabase(end, isSuperseded)
      : await runGently(isLastInDatabase(placeOf(end), old, withLast, isSuperseded));
  if (!isCounted) return undefined;
  // Had the new generation grown past this end meanwhile, what was just seen behind it would prove nothing.
  if (!wal.hasSaltsAt(last.endOffset - frameSize + FRAME_SALTS_OFFSET, last)) return undefined;
  return { salt1: header.salt1, salt2: header.salt2, endSums, tailUnread: tail.commit > 0 };
}

function placeOf({ databaseFd, wal, last }: FileEnd): DatabasePlace {
  return { databaseFd, wal, pageSize: last.pageSize };
}

/** The checksum in the last file's last frame, if that commit is in the WAL file with the same page as in the file. */
async function endFrame({ wal, level0, last }: FileEnd): Promise<WalSums | undefined> {
  const frame = new Uint8Array(WAL_FRAME_HEADER_SIZE + last.pageSize);
  if (wal.read(frame, last.endOffset - frame.length) < frame.length || !hasSalts(frame, last)) return undefined;
  const view = new DataView(frame.buffer);
  if (view.getUint32(4) !== last.commit) return undefined;
  using file = new LocalPages(level0.path(last.txid, last.txid));
  const page = await file.read(view.getUint32(0));
  if (page === undefined || Buffer.compare(page, frame.subarray(WAL_FRAME_HEADER_SIZE)) !== 0) return undefined;
  return storedSums(frame);
}

function hasSalts(frame: Uint8Array, salts: { readonly salt1: number; readonly salt2: number }): boolean {
  const view = new DataView(frame.buffer, frame.byteOffset, WAL_FRAME_HEADER_SIZE);
  return view.getUint32(8) === salts.salt1 && view.getUint32(12) === salts.salt2;
}
