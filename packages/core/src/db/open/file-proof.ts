/**
 * Is the database file below a WAL the one that was replicated? The WAL's checksums do not cover it: an older copy may
 * have been put under a WAL that stayed in place.
 */
import { readSync } from 'node:fs';
import { scanWal } from '../../sqlite/wal/wal-scan.ts';
import type { WalFile } from '../../sqlite/wal/wal-file.ts';
import { WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE, sameSalts, walSizeOf } from '../../sqlite/wal/wal-header.ts';
import type { VisibleWal } from '../../sqlite/wal/wal-index.ts';
import { visibleEndOf } from '../session/next-sync.ts';
import type { RestRecord } from '../session/rest-record.ts';
import { fileStateOf, hasFineTime, isSameFileState, readBootId } from '../session/rest-record.ts';
import type { Steps } from '../../util/cooperative.ts';
import { runCooperatively } from '../../util/cooperative.ts';

export interface FileProofContext {
  readonly databaseFd: number;
  readonly wal: WalFile;
  /** What readers of the WAL see, while a read transaction is held. */
  readonly visible: VisibleWal;
  readonly record: RestRecord | undefined;
}

/** Is it the file that was recorded last, since the system was started? Its content may have changed. */
export function isRecordedFile({ databaseFd, record }: Pick<FileProofContext, 'databaseFd' | 'record'>): boolean {
  if (record?.kind !== 'in-use' || record.bootId !== readBootId()) return false;
  return fileStateOf(databaseFd).inode === record.file.inode;
}

/** Is it that file, and did nothing write to it since it was recorded? */
export function isUnchangedFile(place: Pick<FileProofContext, 'databaseFd' | 'record'>): boolean {
  if (!isRecordedFile(place) || place.record?.kind !== 'in-use') return false;
  const file = fileStateOf(place.databaseFd);
  return isSameFileState(file, place.record.file) && hasFineTime(file);
}

/**
 * True if nothing wrote to the file since it was recorded, or if each page that was moved to it, and is not in a later
 * frame, is there as the WAL has it. False where neither is the case, or no page can be compared. Pages that the WAL
 * does not hold are compared later, in the background.
 *
 * Meanwhile, other connections may checkpoint: the compared pages stay unchanged, since a later frame of such a page is
 * behind the read transaction, and no checkpoint copies it.
 */
export async function isFileProven(context: FileProofContext): Promise<boolean> {
  const { wal, visible, record } = context;
  if (isUnchangedFile(context)) return true;
  if (!isRecordedFile(context) || record?.kind !== 'in-use') return false;
  const header = wal.header();
  if (header === undefined || !sameSalts(record, visible) || !sameSalts(header, visible)) return false;
  const start = { offset: WAL_HEADER_SIZE, sums: { s0: header.s0, s1: header.s1 } };
  const { pages } = await runCooperatively(scanWal(wal, header, start, { endOffsetMax: visibleEndOf(visible) }));
  // A recovery of the wal-index forgets how much was moved.
  const movedEnd = walSizeOf(visible.pageSize, Math.max(record.backfilled, visible.backfilled));
  const moved = [...pages].filter(([, offset]) => offset < movedEnd);
  return moved.length > 0 && (await runCooperatively(arePagesInFile(context, moved)));
}

/** Number of pages that are compared before the event loop turns. */
const COMPARED_AT_ONCE = 256;

function* arePagesInFile(
  { databaseFd, wal, visible }: FileProofContext,
  pages: readonly (readonly [pgno: number, frameOffset: number])[],
): Steps<boolean> {
  const framePage = new Uint8Array(visible.pageSize);
  const filePage = new Uint8Array(visible.pageSize);
  for (const [index, [pgno, offset]] of pages.entries()) {
    if (index % COMPARED_AT_ONCE === 0) yield;
    if (wal.read(framePage, offset + WAL_FRAME_HEADER_SIZE) < framePage.length) return false;
    const size = readSync(databaseFd, filePage, 0, filePage.length, (pgno - 1) * filePage.length);
    if (size < filePage.length || Buffer.compare(framePage, filePage) !== 0) return false;
  }
  return true;
}
