import { closeSync, fsyncSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { LtxHeader, TXID } from '@litestream/ltx';
import { decodeHeader, formatTxid, HEADER_SIZE, isLtxError, readPageIndex, verifyLtx } from '@litestream/ltx';
import type { Op } from '../../storage/contract/contract.ts';
import type { Logger } from '../../util/logger.ts';
import type { WalFile } from '../../sqlite/wal/wal-file.ts';
import { sameSalts } from '../../sqlite/wal/wal-header.ts';
import type { VisibleWal } from '../../sqlite/wal/wal-index.ts';
import { createFile, OPEN_EXISTING, readFileChunks } from '../../files/safe-files.ts';
import { temporaryName } from '../../files/temporary-files.ts';
import type { Ownership } from '../../files/safe-files.ts';
import { isUnchangedFile } from './file-proof.ts';
import type { LocalLtx } from '../../local-ltx/local-ltx.ts';
import type { History } from '../session/options.ts';
import type { RestRecord } from '../session/rest-record.ts';
import { findWalState } from './resume.ts';
import { lastFileOf } from '../../local-ltx/last-file.ts';
import { runCooperatively } from '../../util/cooperative.ts';
import { endSumsOf, isOurs } from '../../sqlite/wal/wal-end.ts';
import type { WalState } from '../session/wal-state.ts';
import { renameDurably } from '../../local-ltx/writer/write-ltx.ts';

/** Where replication stopped, according to the files. */
export interface Baseline {
  /** Highest TXID in use. */
  readonly txid: TXID;
  readonly state: WalState;
  /** The last file was written by another program. */
  readonly otherProgram: boolean;
  /**
   * The start continues although the database file was written to since it was recorded, or although the comparison
   * after an earlier start has not ended.
   */
  readonly isPartlyCompared: boolean;
}

/** Nothing is known beyond the highest TXID in use. */
function unknown(txid: TXID, reason: string): Baseline {
  const state: WalState = { kind: 'snapshot-required', reason, last: undefined, isWhole: true };
  return { txid, state, otherProgram: false, isPartlyCompared: false };
}

export interface BaselineContext {
  readonly databaseFd: number;
  readonly level0: LocalLtx;
  readonly wal: WalFile;
  /** What readers of the WAL see, while a read transaction is held. */
  readonly visible: VisibleWal;
  readonly record: RestRecord | undefined;
  readonly ownership: Ownership;
  readonly logger: Logger;
  readonly history: History | undefined;
}

/**
 * Finds where to continue: at the last local file if it is complete, or, if a replica has more (the database was
 * restored from an older copy, or the local files are gone), at the replica's newest transaction.
 */
export async function findBaseline(context: BaselineContext, op: Op = {}): Promise<Baseline> {
  const { level0, logger, history } = context;
  const localTxid = level0.last()?.maxTxid ?? 0n;
  const remoteTxid = (await history?.maxTxid(op)) ?? 0n;
  if (history !== undefined && remoteTxid > localTxid) {
    logger.info('detected database behind replica', {
      db_txid: formatTxid(localTxid),
      replica_txid: formatTxid(remoteTxid),
    });
    level0.clear(context.ownership);
    const fetched = await fetchLevel0(context, history, remoteTxid, op);
    if (!fetched) return unknown(remoteTxid, 'database behind replica');
  }
  if (localTxid === 0n && remoteTxid === 0n) return unknown(0n, 'first sync');
  return readLastFile(context);
}

/** Downloads the replica's newest level-0 file as a local file. False if it is gone or damaged. */
async function fetchLevel0(context: BaselineContext, history: History, txid: TXID, op: Op): Promise<boolean> {
  const { level0, logger, ownership } = context;
  const body = await history.openLevel0(txid, op);
  if (body === undefined) return false;
  const path = level0.path(txid, txid);
  const temporaryPath = temporaryName(path);
  level0.makeFolder(ownership);
  try {
    const fd = createFile(temporaryPath, ownership);
    try {
      for await (const chunk of body) for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    await verifyLtx(readFileChunks(temporaryPath), { file: temporaryPath });
    await runCooperatively(renameDurably(temporaryPath, path));
  } catch (error) {
    rmSync(temporaryPath, { force: true });
    if (!isLtxError(error)) throw error;
    logger.warn('newest L0 file on replica is damaged, snapshotting', { txid: formatTxid(txid), error });
    return false;
  }
  logger.info('fetched latest L0 file from replica', { min_txid: formatTxid(txid), max_txid: formatTxid(txid) });
  return true;
}

/** Verifies the newest local file and compares its end with the WAL. */
async function readLastFile(context: BaselineContext): Promise<Baseline> {
  const { level0, logger, databaseFd, wal, visible, record } = context;
  const file = level0.last();
  if (file === undefined) return unknown(0n, 'first sync');
  if (file.minTxid !== file.maxTxid) return unknown(file.maxTxid, 'last local file is not a level-0 file');
  try {
    const header = await readHeader(file.path);
    const last = lastFileOf(header);
    const sums = endSumsOf(header);
    const state = await findWalState({ databaseFd, wal, visible, last, sums, record });
    if (state.kind === 'snapshot-required' && sums !== undefined && sameSalts(last, visible)) {
      logger.warn('the database has changed since replication stopped, comparing all pages', {
        txid: formatTxid(last.txid),
        reason: state.reason,
      });
    }
    const isFromWal = state.kind !== 'snapshot-required' && state.kind !== 'at-rest';
    const isLeftOver = record !== undefined && record.kind !== 'resync' && record.isPartlyCompared;
    const isPartlyCompared =
      state.kind !== 'snapshot-required' && (isLeftOver || (isFromWal && !isUnchangedFile({ databaseFd, record })));
    return { txid: file.maxTxid, state, otherProgram: !isOurs(header), isPartlyCompared };
  } catch (error) {
    if (!isLtxError(error)) throw error;
    logger.warn('last local ltx file is damaged, snapshotting', { path: file.path, error });
    return unknown(file.maxTxid, 'last local ltx file is damaged');
  }
}

/** In bytes. Verifying a longer file would delay the start by seconds. */
const VERIFIED_SIZE_MAX = 64 * 1024 * 1024;

/**
 * The header of a local file, after a check of the parts that the start depends on: for a long file, only header, index
 * and trailer. The pages are verified before they are uploaded, merged, or added to a page ledger. Throws `LtxError`.
 */
async function readHeader(path: string): Promise<LtxHeader> {
  await using handle = await open(path, OPEN_EXISTING.read);
  const { size } = await handle.stat();
  if (size <= VERIFIED_SIZE_MAX) return (await verifyLtx(readFileChunks(path), { file: path })).header;
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  };
  await readPageIndex({ size, read }, { file: path });
  return decodeHeader(await read(0, HEADER_SIZE), { file: path });
}
