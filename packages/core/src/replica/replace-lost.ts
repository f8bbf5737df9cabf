/** A local file that the replica needs is gone or damaged: a snapshot holds what it held. */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../client/contract.ts';
import { lostFault } from '../db/local-fault.ts';
import type { Logger } from '../logger.ts';
import { snapshotFrom } from './remote-position.ts';
import type { ReplicaDb } from './replica-db.ts';

export interface ReplaceLostParts {
  readonly client: ReplicaClient;
  readonly db: ReplicaDb;
  readonly logger: Logger;
  /** False: it is left to the operator, unless a snapshot is there already. */
  readonly autoRecover: boolean;
  readonly requireSameDatabase: () => void;
  /** From this transaction on level 0 has a gap, of which a warning has told. */
  readonly onGap: (txid: TXID) => void;
  readonly takeSnapshot: (options: Op) => Promise<LtxFileInfo>;
}

/** Resolves to the TXID to go on from. `error` says why the file cannot be read. */
export async function replaceLost(parts: ReplaceLostParts, txid: TXID, error: unknown, options: Op): Promise<TXID> {
  const { client, db } = parts;
  const found = await snapshotFrom(client, txid, options);
  parts.requireSameDatabase();
  const there = found !== undefined && found.maxTxid <= db.position.txid ? found : undefined;
  if (there === undefined && !parts.autoRecover) throw lostFault(error, db.localLtx(0).path(txid, txid));
  // Said of a snapshot that is there already, too: only the moments at which one was taken can be restored now.
  parts.logger.warn('local ltx file is missing or damaged, replacing it by a snapshot', {
    txid: formatTxid(txid),
    error,
  });
  parts.onGap(txid);
  const { maxTxid } = there ?? (await parts.takeSnapshot(options));
  parts.requireSameDatabase();
  return maxTxid;
}
