/** A local file that the replica needs is missing or damaged: a snapshot takes its place. */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { lostFileError } from '../../local-ltx/local-file-errors.ts';
import type { Logger } from '../../util/logger.ts';
import { conflictError } from './level0-writer.ts';
import { maxTxidOfLevel, snapshotFrom } from '../position/remote-position.ts';
import type { ReplicaDb } from '../position/replica-db.ts';

const LOST = 'local ltx file is missing or damaged, replacing it by a snapshot';

export interface ReplaceLostParts {
  readonly client: ReplicaClient;
  readonly db: ReplicaDb;
  readonly logger: Logger;
  /** False: the operator must act, unless a snapshot exists already. */
  readonly autoRecover: boolean;
  readonly requireSameDatabase: () => void;
  /** Level 0 has a gap from this transaction on; a warning was logged. */
  readonly onGap: (txid: TXID) => void;
  readonly takeSnapshot: (options: Op) => Promise<LtxFileInfo>;
}

/** Resolves to the TXID to continue from. `error` says why the file cannot be read. */
export async function replaceLost(parts: ReplaceLostParts, txid: TXID, error: unknown, options: Op): Promise<TXID> {
  const { client, db } = parts;
  const found = await snapshotFrom(client, txid, options);
  parts.requireSameDatabase();
  const there = found !== undefined && found.maxTxid <= db.position.txid ? found : undefined;
  const isLeftOut = db.leftOut !== undefined && txid <= db.leftOut.txid;
  if (there === undefined && !parts.autoRecover && !isLeftOut)
    throw lostFileError(error, db.localLtx(0).path(txid, txid));
  // Also logged if a snapshot exists already: within the gap, only the snapshots can be restored now.
  if (isLeftOut) parts.logger.info('snapshot in place of a whole database', { txid: formatTxid(txid) });
  else parts.logger.warn(LOST, { txid: formatTxid(txid), error });
  parts.onGap(txid);
  const { maxTxid } = there ?? (await snapshotAlone(parts, txid, options));
  parts.requireSameDatabase();
  return maxTxid;
}

/**
 * The snapshot leaves the level-0 names of its transactions free, so another process could create files there meanwhile. They
 * must not be restored on top of our pages: if there are any, the snapshot is deleted.
 */
async function snapshotAlone(parts: ReplaceLostParts, txid: TXID, options: Op): Promise<LtxFileInfo> {
  const { client } = parts;
  const snapshot = await parts.takeSnapshot(options);
  if ((await maxTxidOfLevel(client, 0, { ...options, seek: txid })) === 0n) return snapshot;
  await client.deleteLtxFiles([snapshot], options);
  throw conflictError(txid);
}
