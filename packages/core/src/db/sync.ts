import type { TXID } from '@litestream/ltx';
import { formatTxid, newHeader } from '@litestream/ltx';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { WalScan } from '../wal/scan.ts';
import { scanWal, storedSums } from '../wal/scan.ts';
import type { WalHeader } from '../wal/wal-header.ts';
import { WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE, sameSalts } from '../wal/wal-header.ts';
import type { SyncDecision } from './decide.ts';
import { decide } from './decide.ts';
import type { LocalLtx } from './local-ltx.ts';
import { makeFolder, own } from './local-ltx.ts';
import { listAllPages, listPages, unwrittenPages } from './page-list.ts';
import type { PageList } from './page-source.ts';
import { WalRestartedError } from './page-source.ts';
import type { Session } from './session.ts';
import { lastFileOf, pageCountOfFile } from './session.ts';
import type { Steps } from './steps.ts';
import type { LtxJob } from './write-ltx.ts';
import { renameDurably } from './write-ltx.ts';
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
  readonly clock: Clock;
  readonly logger: Logger;
  /** WAL bytes a file may hold, cut at a commit; 0: no limit. */
  readonly sizeMax: number;
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
      context.session.caughtUp = false;
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
    staleFrames: hasStaleFrames(session),
  });
  const start =
    decision.kind === 'increment'
      ? { offset: decision.offset, sums: decision.sums }
      : { offset: WAL_HEADER_SIZE, sums: { s0: header.s0, s1: header.s1 } };
  const sizeMax = decision.kind === 'increment' && context.sizeMax > 0 ? { sizeMax: context.sizeMax } : {};
  const scan = yield* scanWal(wal, header, start, sizeMax);
  const headerAfter = wal.header();
  if (headerAfter === undefined || !sameSalts(header, headerAfter)) {
    // Frames that we were about to read may be gone; a restart right where we stopped before is the usual case.
    if (scan.endOffset > start.offset) session.caughtUp = false;
    return 'restarted';
  }
  if (decision.kind === 'increment' && scan.commit === 0) {
    session.caughtUp = true;
    return { kind: 'nothing' };
  }

  const txid = session.txid + 1n;
  logger.debug('sync', {
    txid: formatTxid(txid),
    offset: start.offset,
    ...(context.checkpointing === true ? { chkpt: 'true' } : {}),
    ...(decision.kind === 'snapshot' ? { snap: 'true', reason: decision.reason } : {}),
  });
  const size = yield* writeFile(context, { header, decision, start: start.offset, scan, txid });
  return { kind: 'written', txid, size, limited: scan.limited };
}

interface Plan {
  readonly header: WalHeader;
  readonly decision: SyncDecision;
  readonly start: number;
  readonly scan: WalScan;
  readonly txid: TXID;
}

function* writeFile(context: SyncContext, plan: Plan): Steps<number> {
  const { session, level0 } = context;
  const { header, scan, txid } = plan;
  const commit = scan.commit > 0 ? scan.commit : pageCountOfFile(session.descriptor, session.pageSize);
  const ltxHeader = newHeader({
    pageSize: session.pageSize,
    commit,
    minTxid: txid,
    maxTxid: txid,
    timestampMs: context.clock.now(),
    walOffset: plan.start,
    walSize: scan.endOffset - plan.start,
    salt1: header.salt1,
    salt2: header.salt2,
  });
  const list =
    plan.decision.kind === 'snapshot'
      ? listAllPages(session.pageSize, commit, scan.pages)
      : yield* listIncrement(context, plan, commit);
  const path = level0.path(txid, txid);
  const temporaryPath = `${path}.tmp`;
  makeFolder(level0.folder, session.ownership);
  const job: LtxJob = {
    header: ltxHeader,
    source: {
      pageSize: session.pageSize,
      databaseFd: session.descriptor.fd,
      walFd: session.wal.fd,
      salt1: header.salt1,
      salt2: header.salt2,
      endsAtLogEnd: !scan.limited,
    },
    list,
    temporaryPath,
    mode: session.ownership.fileMode,
  };
  const size = yield* writeAnywhere(job);
  own(temporaryPath, session.ownership.fileMode, session.ownership);
  yield* renameDurably(temporaryPath, path);

  session.last = lastFileOf(ltxHeader);
  session.endSums = scan.sums;
  session.txid = txid;
  session.snapshotDue = undefined;
  session.caughtUp = !scan.limited;
  session.syncedSinceCheckpoint = true;
  session.fullyCheckpointed = false;
  return size;
}

/** The pages of the frames, and those that the database gained without a frame. */
function* listIncrement(context: SyncContext, plan: Plan, commit: number): Steps<PageList> {
  const { session, logger } = context;
  const { header, scan } = plan;
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
  const whole = yield* scanWal(
    session.wal,
    header,
    { offset: WAL_HEADER_SIZE, sums: { s0: header.s0, s1: header.s1 } },
    { endOffsetMax: scan.endOffset },
  );
  const frames = new Map(scan.pages);
  for (const pgno of missing) frames.set(pgno, whole.pages.get(pgno) ?? 0);
  return listPages(frames);
}

/** The cumulative checksum where we stopped, if the frame there still is the one that we read. */
function provenEnd(session: Session, header: WalHeader): Session['endSums'] {
  const { last, endSums, wal } = session;
  if (last === undefined || endSums === undefined || !sameSalts(last, header)) return undefined;
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
  const salts = Buffer.alloc(8);
  const at = last.endOffset - WAL_FRAME_HEADER_SIZE - session.pageSize;
  if (wal.read(salts, at + 8) < salts.length) return false;
  return salts.readUInt32BE(0) === last.salt1 && salts.readUInt32BE(4) === last.salt2;
}
