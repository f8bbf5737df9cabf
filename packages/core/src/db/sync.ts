import { rmSync } from 'node:fs';
import type { TXID } from '@litestream/ltx';
import { formatTxid, newHeader } from '@litestream/ltx';
import { LitestreamError } from '../error.ts';
import type { Logger } from '../logger.ts';
import type { WalScan } from '../wal/scan.ts';
import { scanWal, storedSums } from '../wal/scan.ts';
import type { WalHeader } from '../wal/wal-header.ts';
import {
  FRAME_SALTS_OFFSET,
  HEADER_SALTS_OFFSET,
  WAL_FRAME_HEADER_SIZE,
  WAL_HEADER_SIZE,
  sameSalts,
} from '../wal/wal-header.ts';
import type { VisibleWal } from '../wal/wal-index.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { listDiffering } from '../ledger/scan-pages.ts';
import type { PageLedger } from '../ledger/page-ledger.ts';
import type { CommitTimes } from './commit-times.ts';
import { decide, visibleEndOf } from './decide.ts';
import type { SyncDecision } from './decide.ts';
import type { LocalLtx } from './local-ltx.ts';
import { temporaryName } from '../files/safe-files.ts';
import { inodeAt, publishDurably, usedByAnother } from './publish.ts';
import { listAllPages, listPages, unwrittenPages } from './page-list.ts';
import type { PageList, PageSource } from './page-source.ts';
import { WalRestartedError } from './page-source.ts';
import type { LeftOut } from './leave-out.ts';
import { leaveOut } from './leave-out.ts';
import { refuseWithoutRoom } from './room.ts';
import type { LastFile, Session } from './session.ts';
import { lastFileOf, pageCountOfFile } from './session.ts';
import { SessionFaultError, haveLocksGone } from './session-faults.ts';
import type { Steps } from './steps.ts';
import { sameSums, walEndFields } from './wal-end.ts';
import { isBound, isHeld } from './wal-state.ts';
import type { LtxJob, PageSums } from './write-ltx.ts';
import { provenHeader, sumsOf } from './write-ltx.ts';
import type { OnWriteProgress } from './write-job.ts';
import { writeAnywhere } from './write-job.ts';

/** What one step of following the log did. */
export type SyncOutcome =
  | { readonly kind: 'nothing' }
  /** The log has no header, and a snapshot needs its salts: somebody must write to the database. */
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
  /** Bytes of the WAL that were visible, too, and are for the next file; infinite where that is not known. */
  readonly unreadSize: number;
}

export interface SyncContext {
  readonly session: Session;
  readonly level0: LocalLtx;
  readonly times: CommitTimes;
  readonly ledger: Ledger;
  readonly logger: Logger;
  /** WAL bytes a file may hold, cut at a commit; 0: no limit. */
  readonly sizeMax: number;
  /** Bytes of the log that went into a file. */
  readonly onWalBytes?: (bytes: number) => void;
  readonly onProgress?: OnWriteProgress | undefined;
  readonly metaPath: string;
  /** Called if replicas must take a snapshot since the disk has no room for the whole database. Undefined: the sync fails. */
  readonly onLeftOut?: ((leftOut: LeftOut) => void) | undefined;
  /** Behind a checkpoint's barrier; only for the log. */
  readonly checkpointing?: boolean;
}

/**
 * Repeats a sync until everything is read that was visible at its first look. What is committed meanwhile is not waited for: a
 * writer that is as fast as the sync would never let it end.
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

/** Writes what is visible of the WAL beyond the last level-0 file into the next one. */
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
  const decision = decide(session.state, view);
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
    // Frames behind the visible ones are those of a transaction in progress, or of a writer that was killed.
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
  const plan = { generation, isTail, saltsOffset, start: start.offset, scan, txid, isUnmoved };
  const size = yield* writeFile(context, plan, whole);
  logger.debug('db sync', { status: 'ok' });
  const unreadSize = isTail ? Number.POSITIVE_INFINITY : scan.limited ? visibleEndOf(visible) - scan.endOffset : 0;
  return { kind: 'written', txid, size, walSize: scan.endOffset - plan.start, unreadSize };
}

/**
 * That a WAL which restarted did so where we stopped rests on our read transaction alone. The locks behind it must never
 * have been dropped, not even briefly: another program could have restarted the WAL meanwhile. And where that
 * transaction forbids a restart, it was no restart of SQLite's: other files were copied into place.
 */
function requireHold(session: Session, decision: SyncDecision, visible: VisibleWal): void {
  const { state, last } = session;
  if (!isHeld(state) || last === undefined || sameSalts(last, visible)) return;
  if (decision.kind === 'snapshot' && !isBound(state)) return;
  if (haveLocksGone(session)) throw new SessionFaultError('locks-lost');
  if (isBound(state)) throw new SessionFaultError('wal-replaced');
}

function hasUnmoved({ frameCount, backfilled }: VisibleWal): boolean {
  return backfilled < frameCount;
}

/** Unread frames were overwritten, which no read transaction that is held allows: what is missing is not known. */
function restartedWhileRead(session: Session, isTail: boolean): 'restarted' {
  session.apply(
    isTail
      ? { kind: 'disproven', reason: 'unread frames of the wal were overwritten, snapshotting' }
      : { kind: 'pin-released' },
  );
  return 'restarted';
}

/** The wal-index and the WAL contradict each other: SQLite, too, would read something else than what was committed. */
function damagedWal({ wal }: Session): LitestreamError {
  return new LitestreamError(`the -wal file does not hold the frames that SQLite has committed: ${wal.path}`, {
    code: 'WAL_LOST',
    retryable: true,
    operation: 'sync',
    object: wal.path,
    hint: 'Check the disk, and whether a program other than SQLite writes to the -wal file. Restart the programs that use the database.',
  });
}

interface Plan {
  /** Of the frames: the WAL header, or for a tail that of the generation before it. */
  readonly generation: WalHeader;
  readonly isTail: boolean;
  readonly saltsOffset: number;
  readonly start: number;
  readonly scan: WalScan;
  readonly txid: TXID;
  /** Some visible frames were not in the database file. */
  readonly isUnmoved: boolean;
}

function* writeFile(context: SyncContext, plan: Plan, whole: boolean): Steps<number> {
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
      // A file of every page follows on anything.
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
    // The next attempt has another name. Not in `catch`: steps that fail are ended where they are.
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

interface ChosenPages {
  readonly list: PageList;
  readonly sums: PageSums | undefined;
  /** That of the file before, which the pages that are not in the list are taken from; undefined in a file of every page. */
  readonly ledger: PageLedger | undefined;
  /** The list lacks pages that are as the file before left them. */
  readonly isDelta: boolean;
}

/** Which pages the file gets, and what is known of the others. */
function* choosePages(
  context: SyncContext,
  { plan, whole, commit, source }: { plan: Plan; whole: boolean; commit: number; source: PageSource },
): Steps<ChosenPages> {
  const { session, logger } = context;
  const { state, last } = session;
  const ledger = yield* ledgerFor(context);
  if (whole) {
    const list = listAllPages(session.pageSize, commit, plan.scan.pages);
    const mayBeDelta = state.kind === 'snapshot-required' && !state.isWhole && last?.pageSize === session.pageSize;
    if (!mayBeDelta || ledger === undefined)
      return { list, sums: sumsOf(list.pgnos.length, 0n), ledger: undefined, isDelta: false };
    const differing = yield* listDiffering(ledger, { list, source });
    logger.info('taking only the pages that differ', {
      txid: formatTxid(plan.txid),
      pages: differing.pgnos.length,
      of: list.pgnos.length,
      reason: state.reason,
    });
    const sums = sumsOf(differing.pgnos.length, ledger.xorOfOthers(differing.pgnos, commit));
    return { list: differing, sums, ledger, isDelta: true };
  }
  const list = yield* listIncrement(context, plan, commit);
  const sums = ledger === undefined ? undefined : sumsOf(list.pgnos.length, ledger.xorOfOthers(list.pgnos, commit));
  return { list, sums, ledger, isDelta: true };
}

/** The ledger of the last file. Behind the write barrier only one that is in memory, as after each sync. */
function* ledgerFor({ session, ledger }: SyncContext): Steps<PageLedger | undefined> {
  const { last } = session;
  if (last === undefined || !isLastBefore(session)) return undefined;
  return (yield { now: () => ledger.loadedFor(last), gently: () => ledger.at(last) }) as PageLedger | undefined;
}

/** Where TXIDs were skipped, or a file was left out, what the next one follows is not known here. */
function isLastBefore({ last, txid, isLastLeftOut }: Session): boolean {
  return last?.txid === txid && !isLastLeftOut;
}

function noteInLedger({ session, ledger }: SyncContext, last: LastFile, content: ChosenPages): void {
  const { list, sums } = content;
  if (sums === undefined) {
    ledger.forget();
    return;
  }
  const summed = { pgnos: list.pgnos, checksums: sums.checksums };
  if (content.ledger === undefined) ledger.begin(last, summed, session.ownership);
  else ledger.advance(content.ledger, last, summed, session.ownership);
}

/**
 * Asked before a file gets its name: are the frames that were scanned the ones that its pages were read from? Visible
 * frames do not change as long as their generation lasts. If the WAL has restarted meanwhile, all of them are in the
 * database file, and where the state ended with the WAL, its pages are there (`PageReader`).
 */
function isStillVisible(session: Session, { generation, isTail, scan }: Plan): boolean {
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

/** Upstream replaces a file of the same name: then what it holds need not end where ours did. */
function requireOwnLastFile({ session, level0 }: SyncContext): void {
  if (session.last === undefined || session.lastInode === undefined) return;
  const path = level0.path(session.last.txid, session.last.txid);
  const inode = inodeAt(path);
  if (inode !== undefined && inode !== session.lastInode) throw usedByAnother(path);
}

/** The pages of the frames, and those that the database gained without a frame. */
function* listIncrement(context: SyncContext, plan: Plan, commit: number): Steps<PageList> {
  const { session, logger } = context;
  const { generation, scan } = plan;
  const before = session.last?.commit ?? 0;
  const missing = unwrittenPages(session.pageSize, { before, after: commit }, scan.pages);
  if (missing.length === 0) return listPages(scan.pages);
  logger.debug('filling wal growth pages from database', {
    txid: formatTxid(plan.txid),
    n: missing.length,
    prev_commit: before,
    commit,
  });
  // Free pages, whose content means nothing; still they are taken as SQLite would read them: from an older frame of this
  // log, written before the database once shrank, or else from the database file.
  const frames = new Map(scan.pages);
  for (const pgno of missing) frames.set(pgno, 0);
  // Of a generation that is being overwritten, everything is in the database file.
  if (plan.isTail) return listPages(frames);
  const start = { offset: WAL_HEADER_SIZE, sums: { s0: generation.s0, s1: generation.s1 } };
  const whole = yield* scanWal(session.wal, generation, start, { endOffsetMax: scan.endOffset });
  for (const pgno of missing) frames.set(pgno, whole.pages.get(pgno) ?? 0);
  return listPages(frames);
}

/** Is the frame that the last file ended with still in the WAL file, whatever its header says? */
function hasStaleFrames({ last, wal, pageSize }: Session): boolean {
  if (last === undefined || last.endOffset <= WAL_HEADER_SIZE) return false;
  // Of pages of another size nothing can be found by counting back from there.
  if (last.pageSize !== pageSize) return false;
  return wal.hasSaltsAt(frameBefore(last.endOffset, pageSize) + FRAME_SALTS_OFFSET, last);
}
