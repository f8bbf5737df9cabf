/** Finds, at a start, where the WAL continues the last level-0 file. A read transaction is held while this runs. */
import { readSync } from 'node:fs';
import { scanWal, storedSums } from '../../sqlite/wal/wal-scan.ts';
import type { WalScan } from '../../sqlite/wal/wal-scan.ts';
import type { WalFile } from '../../sqlite/wal/wal-file.ts';
import type { WalHeader, WalSums } from '../../sqlite/wal/wal-header.ts';
import { FRAME_SALTS_OFFSET, WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE, sameSalts } from '../../sqlite/wal/wal-header.ts';
import type { VisibleWal } from '../../sqlite/wal/wal-index.ts';
import { visibleEndOf } from '../session/next-sync.ts';
import { isFileProven, isRecordedFile, isUnchangedFile } from './file-proof.ts';
import type { RestRecord } from '../session/rest-record.ts';
import { fileStateOf, isRecordOf, isSameFileState } from '../session/rest-record.ts';
import type { LastFile } from '../../local-ltx/last-file.ts';
import { runCooperatively } from '../../util/cooperative.ts';
import { sameSums } from '../../sqlite/wal/wal-end.ts';
import type { WalState } from '../session/wal-state.ts';

/** What a start knows. */
export interface ResumePlace {
  readonly databaseFd: number;
  readonly wal: WalFile;
  readonly visible: VisibleWal;
  readonly last: LastFile;
  /** The WAL's running checksum at the end of the last file; undefined if Litestream (Go) wrote it. */
  readonly sums: WalSums | undefined;
  /** What the last clean stop left. */
  readonly record: RestRecord | undefined;
}

/**
 * The state to begin with.
 *
 * The running checksum at the end of the last file covers every frame of its generation up to there, and the salts name
 * the generation: if both are equal, it is the WAL that was read. Where the database and its WAL were put back from a
 * copy, or other transactions were written in place of those that were read, the checksum differs. `file-proof.ts`
 * proves the database file below it.
 */
export async function findWalState(place: ResumePlace): Promise<WalState> {
  const { databaseFd, wal, visible, last, sums, record } = place;
  const required = (reason: string): WalState => ({ kind: 'snapshot-required', reason, last, isWhole: false });
  if (record?.kind === 'resync') return required(record.reason);
  if (sums === undefined) return required('last ltx file was not written by this program');
  if (sameSalts(last, visible)) {
    if (visibleEndOf(visible) < last.endOffset) return required('wal truncated by another process');
    if (hasEnd(wal, last, sums)) {
      if (canBeCompared(place) && (await isFileProven(place))) return { kind: 'resuming', last, sums };
      return required('nothing proves that the database file is the one that was replicated, snapshotting');
    }
    return required('last page does not exist in last ltx file, wal overwritten by another process');
  }
  if (isRecordOf(record, last) && isSameFileState(record.file, fileStateOf(databaseFd))) {
    return { kind: 'at-rest', last };
  }
  const header = wal.header();
  if (header === undefined || !sameSalts(header, visible) || header.pageSize !== last.pageSize) {
    return required('wal header salt reset, snapshotting');
  }
  if (header.salt1 !== (last.salt1 + 1) >>> 0 || !isRecordedFile(place) || !canBeCompared(place))
    return required('wal header salt reset, snapshotting');
  return (await findSuccessor(place, header, sums)) ?? required('wal header salt reset, snapshotting');
}

/**
 * If the database file was written to since it was recorded, the start compares only pages that the WAL holds. The others are
 * compared in the background, with the checksum that the last file must state.
 */
function canBeCompared(place: ResumePlace): boolean {
  return place.last.databaseChecksum !== 0n || isUnchangedFile(place);
}

/** Does the WAL have this running checksum at the end of the last file? */
function hasEnd(wal: WalFile, last: LastFile, sums: WalSums): boolean {
  if (last.endOffset === WAL_HEADER_SIZE) {
    const header = wal.header();
    return header !== undefined && sameSalts(header, last) && sameSums(header, sums);
  }
  const frame = new Uint8Array(WAL_FRAME_HEADER_SIZE);
  if (wal.read(frame, last.endOffset - WAL_FRAME_HEADER_SIZE - last.pageSize) < frame.length) return false;
  return hasSalts(frame, last) && sameSums(storedSums(frame), sums);
}

/**
 * The WAL restarted exactly once while no read transaction was held. New frames overwrite the old ones from the start
 * of the WAL on, one after the other. As long as they have not reached the end of the last file, the old generation's
 * frames beyond that end are still there, and the new generation begins where the old one ends.
 */
async function findSuccessor(place: ResumePlace, header: WalHeader, sums: WalSums): Promise<WalState | undefined> {
  const { wal, last, visible, databaseFd } = place;
  const frameSize = WAL_FRAME_HEADER_SIZE + last.pageSize;
  if (last.endOffset < WAL_HEADER_SIZE + frameSize || visibleEndOf(visible) >= last.endOffset) return undefined;
  if (!hasEnd(wal, last, sums)) return undefined;

  // The remaining frames of the old generation up to there must be one chain: otherwise a power cut lost frames.
  const old = { ...header, salt1: last.salt1, salt2: last.salt2 };
  const begin = { offset: WAL_HEADER_SIZE, sums: { s0: header.s0, s1: header.s1 } };
  const fresh = await runCooperatively(scanWal(wal, header, begin, { endOffsetMax: visibleEndOf(visible) }));
  const first = new Uint8Array(WAL_FRAME_HEADER_SIZE);
  const firstOffset = await firstOldFrame(wal, header, fresh, last.endOffset);
  if (wal.read(first, firstOffset) < first.length || !hasSalts(first, old)) return undefined;
  const chain = { offset: firstOffset + frameSize, sums: storedSums(first) };
  const before = await runCooperatively(scanWal(wal, old, chain, { endOffsetMax: last.endOffset }));
  if (before.commit === 0 || before.endOffset !== last.endOffset) return undefined;

  // A complete frame behind the chain that does not belong to it proves that the old generation ended there, and so
  // does the exact end of the WAL file. A file cut in mid-frame was truncated (journal_size_limit), and frames may be
  // missing.
  const tail = await runCooperatively(scanWal(wal, old, { offset: last.endOffset, sums }));
  const rest = wal.size() - (tail.endOffset + tail.uncommittedSize);
  if (rest !== 0 && rest < frameSize) return undefined;
  // A transaction that was not visible when the WAL restarted is not in the database file: the new generation does not
  // follow it. Newer pages than those of the old generation are in the new one.
  const final = tail.commit > 0 ? tail : before;
  if (!(await isLastInDatabase({ databaseFd, wal, last }, old, final, fresh))) return undefined;
  // If the new generation has grown past this end meanwhile, the frames just read behind it prove nothing.
  if (!wal.hasSaltsAt(last.endOffset - frameSize + FRAME_SALTS_OFFSET, last)) return undefined;
  const successor = { salt1: header.salt1, salt2: header.salt2, isTailUnread: tail.commit > 0 };
  return { kind: 'succeeded', last, sums, successor };
}

/** The new generation may end with frames of a transaction that is not visible; the old frames follow those. */
async function firstOldFrame(wal: WalFile, header: WalHeader, fresh: WalScan, endOffsetMax: number): Promise<number> {
  const start = { offset: fresh.endOffset, sums: fresh.sums };
  const more = await runCooperatively(scanWal(wal, header, start, { endOffsetMax }));
  return more.endOffset + more.uncommittedSize;
}

/**
 * Are the pages of the scan's last transaction in the database file, except those that the new generation holds? False
 * if it holds all of them, and nothing can be compared.
 */
async function isLastInDatabase(
  { databaseFd, wal, last }: { readonly databaseFd: number; readonly wal: WalFile; readonly last: LastFile },
  old: WalHeader,
  { lastStart, endOffset }: WalScan,
  fresh: WalScan,
): Promise<boolean> {
  if (lastStart === undefined) return true;
  const { pages } = await runCooperatively(scanWal(wal, old, lastStart, { endOffsetMax: endOffset }));
  const page = new Uint8Array(last.pageSize);
  const found = new Uint8Array(last.pageSize);
  let comparedCount = 0;
  for (const [pgno, offset] of pages) {
    if (fresh.pages.has(pgno)) continue;
    comparedCount += 1;
    if (wal.read(page, offset + WAL_FRAME_HEADER_SIZE) < page.length) return false;
    if (readSync(databaseFd, found, 0, found.length, (pgno - 1) * found.length) < found.length) return false;
    if (Buffer.compare(page, found) !== 0) return false;
  }
  return comparedCount > 0;
}

function hasSalts(frame: Uint8Array, salts: { readonly salt1: number; readonly salt2: number }): boolean {
  const view = new DataView(frame.buffer, frame.byteOffset, WAL_FRAME_HEADER_SIZE);
  return view.getUint32(8) === salts.salt1 && view.getUint32(12) === salts.salt2;
}
