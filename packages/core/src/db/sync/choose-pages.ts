/** Chooses the pages of the next level-0 file, and computes the database checksum after it. */
import { fstatSync } from 'node:fs';
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { PageLedger } from '../../pages/page-ledger.ts';
import { listDiffering, sumPages } from '../../local-ltx/writer/scan-pages.ts';
import type { WalScan } from '../../sqlite/wal/wal-scan.ts';
import { scanWal } from '../../sqlite/wal/wal-scan.ts';
import type { WalHeader } from '../../sqlite/wal/wal-header.ts';
import { WAL_HEADER_SIZE } from '../../sqlite/wal/wal-header.ts';
import { listAllPages, listPages, unwrittenPages } from '../../pages/page-list.ts';
import type { PageList, PageSource } from '../../pages/page-source.ts';
import type { LastFile } from '../../local-ltx/last-file.ts';
import type { Session } from '../session/session.ts';
import type { Steps } from '../../util/cooperative.ts';
import type { SyncContext } from './sync-context.ts';
import type { PageSums } from '../../local-ltx/writer/write-ltx.ts';
import { databaseChecksumOf, sumsOf } from '../../local-ltx/writer/write-ltx.ts';

/** What was found in the WAL for the next level-0 file. */
export interface SyncPlan {
  /** WAL header of the frames; for a tail, that of the generation before. */
  readonly generation: WalHeader;
  readonly isTail: boolean;
  readonly saltsOffset: number;
  readonly start: number;
  readonly scan: WalScan;
  readonly txid: TXID;
  /** Some visible frames were not in the database file. */
  readonly isUnmoved: boolean;
}

/** The pages of the next level-0 file. */
export interface ChosenPages {
  readonly list: PageList;
  readonly sums: PageSums | undefined;
  /**
   * Ledger of the previous file, from which the checksums of all other pages are taken; undefined for a file with every page.
   */
  readonly ledger: PageLedger | undefined;
  /** The list lacks pages that are unchanged since the previous file. */
  readonly isDelta: boolean;
  /** All pages were read to make the list. */
  readonly isProof: boolean;
}

interface Choice {
  readonly plan: SyncPlan;
  readonly whole: boolean;
  readonly commit: number;
  readonly source: PageSource;
}

/** Which pages the file gets, and what is known of the others. */
export function* choosePages(context: SyncContext, choice: Choice): Steps<ChosenPages> {
  const { plan, commit } = choice;
  if (choice.whole) return (yield* chooseDiffering(context, choice)) ?? everyPage(context.session, plan, commit);
  const ledger = yield* ledgerFor(context);
  const list = yield* listIncrement(context, plan, commit);
  const sums = ledger === undefined ? undefined : sumsOf(list.pgnos.length, ledger.xorOfOthers(list.pgnos, commit));
  return { list, sums, ledger, isDelta: true, isProof: false };
}

function everyPage(session: Session, { scan }: SyncPlan, commit: number): ChosenPages {
  const list = listAllPages(session.pageSize, commit, scan.pages);
  return { list, sums: sumsOf(list.pgnos.length, 0n), ledger: undefined, isDelta: false, isProof: true };
}

/** The pages that differ from the state after the last file; undefined if that state is not known. */
function* chooseDiffering(context: SyncContext, { plan, commit, source }: Choice): Steps<ChosenPages | undefined> {
  const { session, logger } = context;
  const { state, last } = session;
  if (state.kind !== 'snapshot-required' || state.isWhole || last?.pageSize !== session.pageSize) return undefined;
  if (!isLastBefore(session)) return undefined;
  const ledger = (yield* ledgerFor(context)) ?? (yield* proveFile(context, last, source));
  if (ledger === undefined) return undefined;
  const all = listAllPages(session.pageSize, commit, plan.scan.pages);
  const list = yield* listDiffering(ledger, { list: all, source });
  logger.info('taking only the pages that differ', {
    txid: formatTxid(plan.txid),
    pages: list.pgnos.length,
    of: all.pgnos.length,
    reason: state.reason,
  });
  const sums = sumsOf(list.pgnos.length, ledger.xorOfOthers(list.pgnos, commit));
  return { list, sums, ledger, isDelta: true, isProof: true };
}

/**
 * The database file alone, without its WAL, may be the database after the last file: it was restored from the replica, or the
 * metadata folder was lost after a clean stop. Its checksum shows that.
 */
function* proveFile(context: SyncContext, last: LastFile, source: PageSource): Steps<PageLedger | undefined> {
  const { session, ledger, logger } = context;
  if (last.databaseChecksum === 0n || sizeOfFile(session) < last.commit * last.pageSize) return undefined;
  const list = listAllPages(last.pageSize, last.commit, new Map());
  const checksums = sumsOf(list.pgnos.length, 0n);
  yield* sumPages({ source, list }, checksums.checksums);
  if (databaseChecksumOf(checksums) !== last.databaseChecksum) return undefined;
  logger.debug('the database file is proven to be what the replica holds', { txid: formatTxid(last.txid) });
  return ledger.prove(last, { pgnos: list.pgnos, checksums: checksums.checksums }, session.ownership);
}

function sizeOfFile({ descriptor }: Session): number {
  return fstatSync(descriptor.fd).size;
}

/** The ledger of the last file. Behind the write barrier, only a ledger in memory is used; after each sync it is in memory. */
function* ledgerFor({ session, ledger }: SyncContext): Steps<PageLedger | undefined> {
  const { last } = session;
  if (last === undefined || !isLastBefore(session)) return undefined;
  return (yield { now: () => ledger.loadedFor(last), cooperatively: () => ledger.at(last) }) as PageLedger | undefined;
}

/** False if TXIDs were skipped, or a file was left out: then the state before the next file is not known. */
export function isLastBefore({ last, txid, isLastLeftOut }: Session): boolean {
  return last?.txid === txid && !isLastLeftOut;
}

/** Call this once the file is published. */
export function noteInLedger({ session, ledger }: SyncContext, last: LastFile, content: ChosenPages): void {
  const { list, sums } = content;
  if (sums === undefined) {
    ledger.forget();
    return;
  }
  if (content.isProof) ledger.noteProof(last.txid);
  const summed = { pgnos: list.pgnos, checksums: sums.checksums };
  if (content.ledger === undefined) ledger.begin(last, summed, session.ownership);
  else ledger.advance(content.ledger, last, summed, session.ownership);
}

/** The pages of the frames, and the pages by which the database grew without a frame. */
function* listIncrement(context: SyncContext, plan: SyncPlan, commit: number): Steps<PageList> {
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
  // These are free pages, whose content has no meaning. They are still read as SQLite would read them: from an older
  // frame of this WAL, written before the database shrank, or else from the database file.
  const frames = new Map(scan.pages);
  for (const pgno of missing) frames.set(pgno, 0);
  // All frames of a generation that is being overwritten are in the database file.
  if (plan.isTail) return listPages(frames);
  const start = { offset: WAL_HEADER_SIZE, sums: { s0: generation.s0, s1: generation.s1 } };
  const whole = yield* scanWal(session.wal, generation, start, { endOffsetMax: scan.endOffset });
  for (const pgno of missing) frames.set(pgno, whole.pages.get(pgno) ?? 0);
  return listPages(frames);
}
