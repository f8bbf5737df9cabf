import { rmSync } from 'node:fs';
import type { TXID } from '@litestream/ltx';
import { formatTxid, newHeader } from '@litestream/ltx';
import { LitestreamError } from '../../util/error.ts';
import { scanWal, storedSums } from '../../sqlite/wal/wal-scan.ts';
import {
  FRAME_SALTS_OFFSET,
  HEADER_SALTS_OFFSET,
  WAL_FRAME_HEADER_SIZE,
  WAL_HEADER_SIZE,
  sameSalts,
} from '../../sqlite/wal/wal-header.ts';
import type { VisibleWal } from '../../sqlite/wal/wal-index.ts';
import { choosePages, isLastBefore, noteInLedger } from './choose-pages.ts';
import type { SyncPlan } from './choose-pages.ts';
import { nextSync, visibleEndOf } from '../session/next-sync.ts';
import type { SyncDecision } from '../session/next-sync.ts';
import { temporaryName } from '../../files/temporary-files.ts';
import { inodeAt, publishDurably, usedByAnother } from '../../local-ltx/publish.ts';
import type { PageSource } from '../../pages/page-source.ts';
import { WalRestartedError } from '../../pages/page-source.ts';
import { leaveOut } from './leave-out.ts';
import type { SyncContext } from './sync-context.ts';
import { refuseWithoutRoom } from '../../local-ltx/writer/disk-room.ts';
import type { Session } from '../session/session.ts';
import { lastFileOf } from '../../local-ltx/last-file.ts';
import { pageCountOfFile } from '../session/session.ts';
import { SessionFaultError, areLocksLost } from '../session/session-faults.ts';
import type { Steps } from '../../util/cooperative.ts';
import { sameSums, walEndFields } from '../../sqlite/wal/wal-end.ts';
import { isBound, isHeld } from '../session/wal-state.ts';
import type { LtxJob } from '../../local-ltx/writer/write-ltx.ts';
import { provenHeader } from '../../local-ltx/writer/write-ltx.ts';
import { writeAnywhere } from '../../local-ltx/writer/write-job.ts';

/** The result of one sync of the WAL. */
export type SyncOutcome =
  | { readonly kind: 'nothing' }
  /** The WAL has no header, and a snapshot needs its salts: a write to the database creates one. */
  | { readonly kind: 'no-wal' }
  | WrittenFile;

/** A level-0 file was written. */
export interface WrittenFile {
  readonly kind: 'written';
  readonly txid: TXID;
  /** Bytes of the file; 0 if it was left out. */
  readonly size: number;
  /** Bytes of the WAL that went into it. */
  readonly walSize: number;
  /** Visible bytes of the WAL that are left for the next file; infinite if not known. */
  readonly unreadSize: number;
}

/**
 * Repeats a sync until everything is read that was visible at its first look. It does not wait for later commits: with
 * a writer as fast as the sync, it would never end.
 */
export async function syncVisible(sync: () => Promise<SyncOutcome>): Promise<SyncOutcome> {
  let outcome = await sync();
  let left = outcome.kind === 'written' ? outcome.unreadSize : 0;
  while (outcome.kind === 'written' && outcome.unreadSize > 0 && left > 0) {
    outcome = await sync();
    if (outcome.kind === 'written') left -= outcome.walSize;
  }
  return outcome;
}

const ATTEMPTS_MAX = 4;

/** Writes the visible frames of the WAL after the last level-0 file into the next one. */
export function* syncSteps(context: SyncContext): Steps<SyncOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      const outcome = yield* attemptSync(context);
      if (outcome !== 'restarted') return outcome;
      if (attempt === ATTEMPTS_MAX) throw damagedWal(context.session);
    } catch (error) {
      if (!(error instanceof WalRestartedError) || attempt === ATTEMPTS_MAX) throw error;
      context.session.apply({ kind: 'pin-released' });
    }
  }
}

function* attemptSync(context: SyncContext): Steps<SyncOutcome | 'restarted'> {
  const { session, logger } = context;
  const { wal } = session;
  const visible = session.readVisible();
  const header = wal.header();
  const view = { visible, header, pageSize: session.pageSize, hasStaleFrames: hasStaleFrames(session) };
  const decision = nextSync(session.state, view);
  if (decision.kind === 'unsettled') return 'restarted';
  requireHold(session, decision, visible);
  if (decision.kind === 'nothing') {
    session.apply({ kind: 'nothing-new', isUnmoved: hasUnmoved(visible) });
    return { kind: 'nothing' };
  }
  if (header === undefined || (visible.frameCount === 0 && !sameSalts(header, visible))) return { kind: 'no-wal' };

  const whole = decision.kind === 'snapshot';
  const isTail = decision.kind === 'increment' && decision.isTail;
  const start = whole ? { offset: WAL_HEADER_SIZE, sums: { s0: header.s0, s1: header.s1 } } : decision;
  const { last } = session;
  const generation = isTail && last !== undefined ? { ...header, salt1: last.salt1, salt2: last.salt2 } : header;
  const limits = {
    ...(whole || context.sizeMax === 0 ? {} : { sizeMax: context.sizeMax }),
    // Frames after the visible ones belong to a transaction in progress, or to a killed writer.
    ...(isTail ? {} : { endOffsetMax: visibleEndOf(visible) }),
  };
  const scan = yield* scanWal(wal, generation, start, limits);
  const saltsOffset = isTail ? start.offset + FRAME_SALTS_OFFSET : HEADER_SALTS_OFFSET;
  if (!wal.hasSaltsAt(saltsOffset, generation)) return restartedWhileRead(session, isTail);
  if (!isTail && !scan.limited && visible.frameCount > 0) {
    const isVisible = scan.endOffset === visibleEndOf(visible) && sameSums(scan.sums, visible.sums);
    if (!isVisible) {
      session.apply({ kind: 'disproven', reason: 'the visible frames do not continue what was read, snapshotting' });
      if (whole) throw damagedWal(session);
      return 'restarted';
    }
  }

  const txid = session.txid + 1n;
  logger.debug('sync', {
    txid: formatTxid(txid),
    offset: start.offset,
    ...(context.checkpointing === true ? { chkpt: 'true' } : {}),
    ...(whole ? { snap: 'true', reason: decision.reason } : {}),
  });
  const isUnmoved = hasUnmoved(visible);
  const plan: SyncPlan = { generation, isTail, saltsOffset, start: start.offset, scan, txid, isUnmoved };
  const size = yield* writeFile(context, plan, whole);
  logger.debug('db sync', { status: 'ok' });
  const unreadSize = isTail ? Number.POSITIVE_INFINITY : scan.limited ? visibleEndOf(visible) - scan.endOffset : 0;
  return { kind: 'written', txid, size, walSize: scan.endOffset - plan.start, unreadSize };
}

/**
 * Only our read transaction guarantees that a restarted WAL restarted where we stopped. So its locks must never have
 * been dropped, not even briefly: another program could have restarted the WAL meanwhile. If the transaction forbids a
 * restart and there still was one, SQLite did not do it: other files were copied into place.
 */
function requireHold(session: Session, decision: SyncDecision, visible: VisibleWal): void {
  const { state, last } = session;
  if (!isHeld(state) || last === undefined || sameSalts(last, visible)) return;
  if (decision.kind === 'snapshot' && !isBound(state)) return;
  if (areLocksLost(session)) throw new SessionFaultError('locks-lost');
  if (isBound(state)) throw new SessionFaultError('wal-replaced');
}

function hasUnmoved({ frameCount, backfilled }: VisibleWal): boolean {
  return backfilled < frameCount;
}

/** Unread frames were overwritten, which a held read transaction prevents: it is not known what is missing. */
function restartedWhileRead(session: Session, isTail: boolean): 'restarted' {
  session.apply(
    isTail
      ? { kind: 'disproven', reason: 'unread frames of the wal were overwritten, snapshotting' }
      : { kind: 'pin-released' },
  );
  return 'restarted';
}

/** The wal-index and the WAL contradict each other: SQLite, too, would not read what was committed. */
function damagedWal({ wal }: Session): LitestreamError {
  return new LitestreamError(`the -wal file does not hold the frames that SQLite has committed: ${wal.path}`, {
    code: 'WAL_LOST',
    retryable: true,
    operation: 'sync',
    object: wal.path,
    hint: 'Check the disk, and whether a program other than SQLite writes to the -wal file. Restart the programs that use the database.',
  });
}

function* writeFile(context: SyncContext, plan: SyncPlan, whole: boolean): Steps<number> {
  const { session, level0 } = context;
  const { generation, scan, isTail, txid } = plan;
  const commit = scan.commit > 0 ? scan.commit : pageCountOfFile(session.descriptor, session.pageSize);
  const source: PageSource = {
    pageSize: session.pageSize,
    databaseFd: session.descriptor.fd,
    walFd: session.wal.fd,
    salt1: generation.salt1,
    salt2: generation.salt2,
    saltsOffset: plan.saltsOffset,
    endsAtLogEnd: !scan.limited && !isTail,
  };
  const content = yield* choosePages(context, { plan, whole, commit, source });
  const ltxHeader = newHeader({
    pageSize: session.pageSize,
    commit,
    minTxid: txid,
    maxTxid: txid,
    timestampMs: context.times.next(),
    ...walEndFields({
      startOffset: plan.start,
      endOffset: scan.endOffset,
      sums: scan.sums,
      // A file with every page does not depend on the file before it.
      databaseChecksumBefore: content.isDelta && isLastBefore(session) ? (session.last?.databaseChecksum ?? 0n) : 0n,
    }),
    salt1: generation.salt1,
    salt2: generation.salt2,
  });
  const path = level0.path(txid, txid);
  const temporaryPath = temporaryName(path);
  requireOwnLastFile(context);
  level0.makeFolder(session.ownership);
  const { list, sums } = content;
  const job: LtxJob = { header: ltxHeader, source, list, sums, temporaryPath, ownership: session.ownership };
  const last = lastFileOf(ltxHeader);
  if (whole) {
    const refusal = yield* refuseWithoutRoom(job);
    if (refusal !== undefined) {
      leaveOut(context, last, refusal);
      context.ledger.forget();
      session.apply({ kind: 'published', last, sums: scan.sums, isAtEnd: true, isUnmoved: false });
      return 0;
    }
  }
  let size = 0;
  let isPublished = false;
  try {
    size = yield* writeAnywhere(job, context.onProgress);
    if (!isStillVisible(session, plan)) {
      throw new WalRestartedError('the frames that were read are not visible any more');
    }
    yield* publishDurably(temporaryPath, path);
    isPublished = true;
  } finally {
    // The next attempt uses another name. Not in `catch`: a failed step ends the generator, which runs only `finally`.
    if (!isPublished) rmSync(temporaryPath, { force: true });
  }

  context.onWalBytes?.(scan.endOffset - plan.start);
  const proven = lastFileOf(provenHeader(ltxHeader, job.sums));
  session.published(proven, inodeAt(path));
  session.apply(
    isTail
      ? { kind: 'tail-published', last: proven, sums: scan.sums, isTailUnread: scan.limited }
      : { kind: 'published', last: proven, sums: scan.sums, isAtEnd: !scan.limited, isUnmoved: plan.isUnmoved },
  );
  noteInLedger(context, proven, content);
  return size;
}

/**
 * Checked before a file gets its name: were its pages read from the frames that were scanned? Visible frames do not
 * change as long as their generation lasts. If the WAL has restarted meanwhile, all of them are in the database file,
 * and `PageReader` reads them there.
 */
function isStillVisible(session: Session, { generation, isTail, scan }: SyncPlan): boolean {
  if (isTail)
    return session.wal.hasSaltsAt(frameBefore(scan.endOffset, session.pageSize) + FRAME_SALTS_OFFSET, generation);
  const visible = session.readVisible();
  if (!sameSalts(visible, generation)) return !scan.limited;
  if (scan.endOffset === WAL_HEADER_SIZE) return true;
  if (visibleEndOf(visible) < scan.endOffset) return false;
  const frame = new Uint8Array(WAL_FRAME_HEADER_SIZE);
  const size = session.wal.read(frame, frameBefore(scan.endOffset, session.pageSize));
  return size === frame.length && sameSums(storedSums(frame), scan.sums);
}

/** Offset of the frame that ends there. */
function frameBefore(endOffset: number, pageSize: number): number {
  return endOffset - WAL_FRAME_HEADER_SIZE - pageSize;
}

/** Litestream (Go) replaces a file of the same name: then that file need not end where ours did. */
function requireOwnLastFile({ session, level0 }: SyncContext): void {
  if (session.last === undefined || session.lastInode === undefined) return;
  const path = level0.path(session.last.txid, session.last.txid);
  const inode = inodeAt(path);
  if (inode !== undefined && inode !== session.lastInode) throw usedByAnother(path);
}

/** Is the frame that the last file ended with still in the WAL file, even if the header is of another generation? */
function hasStaleFrames({ last, wal, pageSize }: Session): boolean {
  if (last === undefined || last.endOffset <= WAL_HEADER_SIZE) return false;
  // With another page size, frame offsets cannot be computed from there.
  if (last.pageSize !== pageSize) return false;
  return wal.hasSaltsAt(frameBefore(last.endOffset, pageSize) + FRAME_SALTS_OFFSET, last);
}
