import { closeSync, createReadStream, fstatSync, fsyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import type { LtxHeader, TXID } from '@litestream/ltx';
import { HEADER_SIZE, decodeHeader, formatTxid, isLtxError, kernel, readPageIndex, verifyLtx } from '@litestream/ltx';
import { fileAccess } from '@litestream/ltx/node';
import type { Op } from '../client/contract.ts';
import type { Logger } from '../logger.ts';
import { scanWal, storedSums } from '../wal/scan.ts';
import type { WalFile } from '../wal/wal-file.ts';
import type { WalSums } from '../wal/wal-header.ts';
import { WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE, sameSalts } from '../wal/wal-header.ts';
import type { LocalLtx, Ownership } from './local-ltx.ts';
import { makeFolder, own } from './local-ltx.ts';
import type { History } from './options.ts';
import type { LastFile } from './session.ts';
import { lastFileOf } from './session.ts';
import { runGently } from './steps.ts';
import { renameDurably } from './write-ltx.ts';

/** Where replication stood when it stopped, as the files tell it. */
export interface Baseline {
  /** Highest TXID in use. */
  readonly txid: TXID;
  /** The file of that transaction, if it is here and whole. */
  readonly last: LastFile | undefined;
  /** Cumulative checksum at its end, if the log still is the one that it was cut from. */
  readonly endSums: WalSums | undefined;
  readonly snapshotDue: string | undefined;
}

export interface BaselineContext {
  readonly level0: LocalLtx;
  readonly wal: WalFile;
  readonly ownership: Ownership;
  readonly logger: Logger;
  readonly history: History | undefined;
}

/**
 * Finds the place to go on from: the last local file if it is whole, or, where a replica has seen more (the database was
 * restored from an older copy, or the local files are gone), the replica's newest transaction.
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
    level0.clear();
    const fetched = await fetchLevel0(context, history, remoteTxid, op);
    if (!fetched)
      return { txid: remoteTxid, last: undefined, endSums: undefined, snapshotDue: 'database behind replica' };
  }
  if (localTxid === 0n && remoteTxid === 0n) {
    return { txid: 0n, last: undefined, endSums: undefined, snapshotDue: undefined };
  }
  return readLastFile(context);
}

/** Takes the replica's newest level-0 file as ours. False if it is gone or damaged. */
async function fetchLevel0(context: BaselineContext, history: History, txid: TXID, op: Op): Promise<boolean> {
  const { level0, logger, ownership } = context;
  const body = await history.openLevel0(txid, op);
  if (body === undefined) return false;
  const path = level0.path(txid, txid);
  const temporaryPath = `${path}.tmp`;
  makeFolder(level0.folder, ownership);
  const fd = openSync(temporaryPath, 'w', ownership.fileMode);
  try {
    for await (const chunk of body) for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  try {
    await verifyLtx(createReadStream(temporaryPath), { file: temporaryPath });
  } catch (error) {
    rmSync(temporaryPath, { force: true });
    if (!isLtxError(error)) throw error;
    logger.warn('newest L0 file on replica is damaged, snapshotting', { txid: formatTxid(txid), error });
    return false;
  }
  own(temporaryPath, ownership.fileMode, ownership);
  await runGently(renameDurably(temporaryPath, path));
  logger.info('fetched latest L0 file from replica', { min_txid: formatTxid(txid), max_txid: formatTxid(txid) });
  return true;
}

/** Verifies the newest local file and compares its end with the log. */
async function readLastFile(context: BaselineContext): Promise<Baseline> {
  const { level0, logger } = context;
  const file = level0.last();
  if (file === undefined) return { txid: 0n, last: undefined, endSums: undefined, snapshotDue: undefined };
  const none = { txid: file.maxTxid, last: undefined, endSums: undefined };
  if (file.minTxid !== file.maxTxid) return { ...none, snapshotDue: 'last local file is not a level-0 file' };
  try {
    const { header } = await verifyLtx(createReadStream(file.path), { file: file.path });
    const last = lastFileOf(header);
    return { txid: file.maxTxid, last, endSums: await proveEnd(context.wal, file.path, last), snapshotDue: undefined };
  } catch (error) {
    if (!isLtxError(error)) throw error;
    logger.warn('last local ltx file is damaged, snapshotting', { path: file.path, error });
    return { ...none, snapshotDue: 'last local ltx file is damaged' };
  }
}

/**
 * The cumulative checksum at the end of the last file, if the log holds, unbroken from its header, the very frames that
 * the file was cut from: same salts, a commit at its end, and that frame's page equal to the page in the file.
 */
async function proveEnd(wal: WalFile, path: string, last: LastFile): Promise<WalSums | undefined> {
  wal.refresh();
  const header = wal.header();
  if (header === undefined || !sameSalts(header, last) || header.pageSize !== last.pageSize) return undefined;
  const seed = { s0: header.s0, s1: header.s1 };
  if (last.endOffset === WAL_HEADER_SIZE) return seed;
  const start = { offset: WAL_HEADER_SIZE, sums: seed };
  const scan = await runGently(scanWal(wal, header, start, { endOffsetMax: last.endOffset }));
  if (scan.endOffset !== last.endOffset) return undefined;
  const frame = new Uint8Array(WAL_FRAME_HEADER_SIZE + header.pageSize);
  if (wal.read(frame, last.endOffset - frame.length) < frame.length) return undefined;
  const pgno = new DataView(frame.buffer).getUint32(0);
  const page = await readPage(path, pgno);
  if (page === undefined || Buffer.compare(page, frame.subarray(WAL_FRAME_HEADER_SIZE)) !== 0) return undefined;
  return storedSums(frame);
}

/** One page of a local file, or undefined if it has no such page. */
async function readPage(path: string, pgno: number): Promise<Uint8Array | undefined> {
  const fd = openSync(path, 'r');
  try {
    const headerBytes = new Uint8Array(HEADER_SIZE);
    readSync(fd, headerBytes, 0, HEADER_SIZE, 0);
    const header: LtxHeader = decodeHeader(headerBytes);
    const access = fileAccess(fd, fstatSync(fd).size);
    const { index } = await readPageIndex(access);
    const entry = index.find(pgno);
    if (entry === undefined) return undefined;
    return kernel()
      .decodeFrames(await access.read(entry.offset, entry.size), header.pageSize, 0n, 1)
      .pages.slice();
  } finally {
    closeSync(fd);
  }
}
