import { closeSync, createReadStream, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import type { TXID } from '@litestream/ltx';
import { formatTxid, isLtxError, verifyLtx } from '@litestream/ltx';
import type { Op } from '../client/contract.ts';
import type { Logger } from '../logger.ts';
import type { WalFile } from '../wal/wal-file.ts';
import type { LocalLtx, Ownership } from './local-ltx.ts';
import { makeFolder, own } from './local-ltx.ts';
import { isOurs } from './log-place.ts';
import type { History } from './options.ts';
import type { LastFile } from './session.ts';
import { lastFileOf } from './session.ts';
import type { Comparison } from './compare-with-log.ts';
import { compareWithLog, NEITHER } from './compare-with-log.ts';
import { runGently } from './steps.ts';
import { renameDurably } from './write-ltx.ts';

/** Where replication stood when it stopped, as the files tell it. */
export interface Baseline extends Comparison {
  /** Highest TXID in use. */
  readonly txid: TXID;
  /** The file of that transaction, if it is here and whole. */
  readonly last: LastFile | undefined;
  readonly snapshotDue: string | undefined;
  /** The last file was written by another program. */
  readonly otherProgram?: boolean;
}

/** Nothing was replicated yet. */
const NOTHING: Baseline = { txid: 0n, last: undefined, ...NEITHER, snapshotDue: undefined };

export interface BaselineContext {
  readonly databaseFd: number;
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
    if (!fetched) return { ...NOTHING, txid: remoteTxid, snapshotDue: 'database behind replica' };
  }
  if (localTxid === 0n && remoteTxid === 0n) return NOTHING;
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
  if (file === undefined) return NOTHING;
  const none = { ...NOTHING, txid: file.maxTxid };
  if (file.minTxid !== file.maxTxid) return { ...none, snapshotDue: 'last local file is not a level-0 file' };
  try {
    const { header } = await verifyLtx(createReadStream(file.path), { file: file.path });
    const last = lastFileOf(header);
    return {
      txid: file.maxTxid,
      last,
      ...(await compareWithLog({ databaseFd: context.databaseFd, wal: context.wal, level0, last })),
      snapshotDue: undefined,
      otherProgram: !isOurs(header),
    };
  } catch (error) {
    if (!isLtxError(error)) throw error;
    logger.warn('last local ltx file is damaged, snapshotting', { path: file.path, error });
    return { ...none, snapshotDue: 'last local ltx file is damaged' };
  }
}
