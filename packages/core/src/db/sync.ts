import type { TXID } from '@litestream/ltx';
import { formatTxid, newHeader } from '@litestream/ltx';
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
import type { CommitTimes } from './commit-times.ts';
import { isLastInDatabase, isStillInLog, placeOf } from './counted.ts';
import { decide } from './decide.ts';
import type { LocalLtx } from './local-ltx.ts';
import { makeFolder } from './local-ltx.ts';
import { logPlaceFields } from './log-place.ts';
import { inodeAt, publishDurably, usedByAnother } from './publish.ts';
import { listAllPages, listPages, unwrittenPages } from './page-list.ts';
import type { PageList } from './page-source.ts';
import { WalRestartedError } from './page-source.ts';
import type { Session } from './session.ts';
import { distrustLog, lastFileOf, pageCountOfFile, trustLog } from './session.ts';
import type { Steps } from './steps.ts';
import type { LtxJob } from './write-ltx.ts';
import type { OnWriteProgress } from './write-job.ts';
import { writeAnywhere } from './write-job.ts';

/** What one step of following the log did. */
export type SyncOutcome =
  | { readonly kind: 'nothing' }
  /** The log has no header, and a snapshot needs its salts: somebody must write to the database. */
  | { readonly kind: 'no-wal' }
  /** A file was written. `limited`: there may be more to read. */
  | { readonly kind: 'written'; readonly txid: TXID; readonly size: number; readonly limited: boolean };

export interface SyncContext {
  readonly session: Session;
  readonly level0: LocalLtx;
  readonly times: CommitTimes;
  readonly logger: Logger;
  /** WAL bytes a file may hold, cut at a commit; 0: no limit. */
  readonly sizeMax: number;
  /** Bytes of the log that went into a file. */
  readonly onWalBytes?: (bytes: number) => void;
  readonly onProgress?: OnWriteProgress | undefined;
  /** Behind a checkpoint's barrier; only for the log. */
  readonly checkpointing?: boolean;
}

const ATTEMPTS_MAX = 4;

/** Writes what the log holds beyond the last level-0 file into the next one. */
export function* syncSteps(context: SyncContext): Steps<SyncOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      const outcome = yield* attemptSync(context);
      if (outcome !== 'restarted') return outcome;
      if (attempt === ATTEMPTS_MAX) throw new WalRestartedError(`the log restarted ${attempt} times while it was read`);
    } catch (error) {
      if (!(error instanceof WalRestartedError) || attempt === ATTEMPTS_MAX) throw error;
      distrustLog(context.session);
    }
  }
}

function* attemptSync(context: SyncContext): Steps<SyncOutcome | 'restarted'> {
  const { session, logger } = context;
  const { wal } = session;
  const header = wal.header();
  if (header === undefined) {
    // Emptied by a TRUNCATE checkpoint, which cannot have taken anything that we have not read.
    if (session.caughtUp && session.snapshotDue === undefined) return { kind: 'nothing' };
    return { kind: 'no-wal' };
  }

  const decision = decide({
    last: session.last,
    snapshotDue: session.snapshotDue,
    wal: header,
    walFileSize: wal.size(),
    pageSize: session.pageSize,
    endSums: provenEnd(session, header),
    caughtUp: session.caughtUp,
    lastIsCounted: session.unproven === undefined,
    successor: session.successor,
    staleFrames: hasStaleFrames(session),
  });
  const start =
    decision.kind === 'increment'
      ? { offset: decision.offset, sums: decision.sums }
      : { offset: WAL_HEADER_SIZE, sums: { s0: header.s0, s1: header.s1 } };
  const tail = decision.kind === 'increment' && decision.ofPreviousGeneration;
  const generation = tail ? { ...header, salt1: session.last?.salt1 ?? 0, salt2: session.last?.salt2 ?? 0 } : header;
  const sizeMax = decision.kind === 'increment' && context.sizeMax > 0 ? { sizeMax: context.sizeMax } : {};
  const scan = yield* scanWal(wal, generation, start, sizeMax);
  const saltsOffset = tail ? start.offset + FRAME_SALTS_OFFSET : HEADER_SALTS_OFFSET;
  if (!wal.hasSaltsAt(saltsOffset, generation)) {
    // Frames that we were about to read may be gone; a restart right where we stopped before is the usual case.
    if (scan.endOffset > start.offset) distrustLog(session);
    // What was left of the generation before has been overwritten before it was read: only a snapshot makes up for it.
    if (tail) session.successor = undefined;
    return 'restarted';
  }
  if (decision.kind === 'increment' && scan.commit === 0) {
    // Behind the barrier the checkpoint tells, and nobody is to wait while a long transaction is read again.
    if (context.checkpointing !== true && !(yield* isStillInLog(session, header))) {
      if (wal.hasSaltsAt(HEADER_SALTS_OFFSET, header)) {
        session.snapshotDue = 'the last commit that was read did not count, snapshotting';
      }
      return 'restarted';
    }
    trustLog(session);
    return { kind: 'nothing' };
  }

  const txid = session.txid + 1n;
  logger.debug('sync', {
    txid: formatTxid(txid),
    offset: start.offset,
    ...(context.checkpointing === true ? { chkpt: 'true' } : {}),
    ...(decision.kind === 'snapshot' ? { snap: 'true', reason: decision.reason } : {}),
  });
  const whole = decision.kind === 'snapshot';
  // Where the pin stands on the database file from the beginning, the log may restart as soon as somebody writes. What is
  // left of a generation was found in the database file when the session began.
  const isCounted = tail || (whole && (yield* isLastInDatabase(placeOf(session), generation, scan)));
  const unproven = isCounted ? undefined : scan.lastStart;
  const plan = { generation, tail, saltsOffset, start: start.offset, scan, unproven, txid };
  const size = yield* writeFile(context, plan, whole);
  logger.debug('db sync', { status: 'ok' });
  return { kind: 'written', txid, size, limited: scan.limited || tail };
}

interface Plan {
  /** Of the frames: the log's header, or for a tail that of the generation before it. */
  readonly generation: WalHeader;
  readonly tail: boolean;
  readonly saltsOffset: number;
  readonly start: number;
  readonly scan: WalScan;
  readonly unproven: Session['unproven'];
  readonly txid: TXID;
}

function* writeFile(context: SyncContext, plan: Plan, whole: boolean): Steps<number> {
  const { session, level0 } = context;
  const { generation, scan, tail, txid } = plan;
  const commit = scan.commit > 0 ? scan.commit : pageCountOfFile(session.descriptor, session.pageSize);
  const ltxHeader = newHeader({
    pageSize: session.pageSize,
    commit,
    minTxid: txid,
    maxTxid: txid,
    timestampMs: context.times.next(),
    ...logPlaceFields({ startOffset: plan.start, endOffset: scan.endOffset }),
    salt1: generation.salt1,
    salt2: generation.salt2,
  });
  const list = whole ? listAllPages(session.pageSize, commit, scan.pages) : yield* listIncrement(context, plan, commit);
  const path = level0.path(txid, txid);
  const temporaryPath = `${path}.${session.tag}.tmp`;
  requireOwnLastFile(context);
  makeFolder(level0.folder, session.ownership);
  const job: LtxJob = {
    header: ltxHeader,
    source: {
      pageSize: session.pageSize,
      databaseFd: session.descriptor.fd,
      walFd: session.wal.fd,
      salt1: generation.salt1,
      salt2: generation.salt2,
      saltsOffset: plan.saltsOffset,
      endsAtLogEnd: !scan.limited && !tail,
    },
    list,
    temporaryPath,
    mode: session.ownership.fileMode,
  };
  const size = yield* writeAnywhere(job, context.onProgress);
  yield* publishDurably(temporaryPath, path, session.ownership);

  context.onWalBytes?.(scan.endOffset - plan.start);
  session.last = lastFileOf(ltxHeader);
  session.lastInode = inodeAt(path);
  session.endSums = scan.sums;
  session.unproven = plan.unproven;
  session.successor =
    tail && session.successor !== undefined
      ? { ...session.successor, endSums: scan.sums, tailUnread: scan.limited }
      : undefined;
  session.txid = txid;
  session.snapshotDue = undefined;
  if (scan.limited || tail) distrustLog(session);
  else trustLog(session);
  session.syncedSinceCheckpoint = true;
  session.fullyCheckpointed = false;
  return size;
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
  if (plan.tail) return listPages(frames);
  const start = { offset: WAL_HEADER_SIZE, sums: { s0: generation.s0, s1: generation.s1 } };
  const whole = yield* scanWal(session.wal, generation, start, { endOffsetMax: scan.endOffset });
  for (const pgno of missing) frames.set(pgno, whole.pages.get(pgno) ?? 0);
  return listPages(frames);
}

/** The cumulative checksum where we stopped, if the frame there still is the one that we read. */
function provenEnd(session: Session, header: WalHeader): Session['endSums'] {
  const { last, endSums, wal } = session;
  if (last === undefined || endSums === undefined || !sameSalts(last, header)) return undefined;
  if (last.pageSize !== session.pageSize) return undefined;
  if (last.endOffset <= WAL_HEADER_SIZE) return endSums;
  const frame = new Uint8Array(WAL_FRAME_HEADER_SIZE);
  const at = last.endOffset - WAL_FRAME_HEADER_SIZE - session.pageSize;
  if (wal.read(frame, at) < frame.length) return undefined;
  const stored = storedSums(frame);
  return stored.s0 === endSums.s0 && stored.s1 === endSums.s1 ? endSums : undefined;
}

/** Is the frame that the last file ended with still in the WAL file, whatever its header says? */
function hasStaleFrames(session: Session): boolean {
  const { last, wal } = session;
  if (last === undefined || last.endOffset <= WAL_HEADER_SIZE) return false;
  // Of pages of another size nothing can be found by counting back from there.
  if (last.pageSize !== session.pageSize) return false;
  return wal.hasSaltsAt(last.endOffset - WAL_FRAME_HEADER_SIZE - session.pageSize + FRAME_SALTS_OFFSET, last);
}
