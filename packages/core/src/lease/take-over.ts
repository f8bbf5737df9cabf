/** The steps from an acquired lease to a database that may be replicated under it. */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Op, ReplicaClient } from '../storage/contract/contract.ts';
import { hasCode } from '../util/error.ts';
import type { LitestreamError } from '../util/error.ts';
import type { Logger } from '../util/logger.ts';
import { claimBehind } from '../replica/join/claim.ts';
import { conflictError, Level0Writer } from '../replica/upload/level0-writer.ts';
import { maxTxidsOfReplica } from '../replica/position/remote-position.ts';
import { BREAK_HINT, missingError, refusedError } from './errors.ts';
import type { LeaseHolder } from './holder.ts';

export interface TakeOverParts {
  readonly holder: LeaseHolder;
  /** Writes only while the lease is held. */
  readonly client: ReplicaClient;
  readonly logger: Logger;
  readonly database: {
    readonly path: string;
    /** Whether the database file exists. */
    readonly exists: () => boolean;
    /** The last transaction in its local files; 0 for none. */
    readonly localTxid: () => TXID;
    /** Restores the database from the replica. Resolves to whether the file then exists. Undefined: do not restore it. */
    readonly restore: ((op: Op) => Promise<boolean>) | undefined;
  };
}

/** Files of earlier holders that may arrive while the next name is claimed: each holder uploads at most one at a time. */
const CLAIMS_MAX = 5;

/**
 * Resolves once the database holds everything that an earlier holder acknowledged, after a restore if it is missing. Rejects
 * with `PROMOTION_REFUSED` if that is not possible, and releases the lease for a process that has what this one lacks.
 */
export async function takeOver(parts: TakeOverParts, op: Op = {}): Promise<void> {
  const { holder, client, database, logger } = parts;
  const { acknowledgedTxid, isUnclean } = holder.inherited;
  const { max: end } = await maxTxidsOfReplica(client, op);
  if (acknowledgedTxid !== undefined && end < acknowledgedTxid) {
    return await refuse(holder, missingError(client.type, end, acknowledgedTxid));
  }
  const { restore } = database;
  if (!database.exists() && restore !== undefined) {
    // A restore must see the last file of the earlier holder, so no further file may arrive after it.
    if (isUnclean) await claimEnd(client, logger, op);
    if (await restore(op)) holder.promoted();
    return;
  }
  if (acknowledgedTxid === undefined || database.localTxid() >= end) return;
  return await refuse(holder, behindError(database, end));
}

async function refuse(holder: LeaseHolder, error: LitestreamError): Promise<never> {
  holder.giveUp(error);
  await holder.release();
  throw error;
}

/** Creates a file with the next name at level 0, so that an unfinished upload of the earlier holder cannot create it. */
async function claimEnd(client: ReplicaClient, logger: Logger, op: Op): Promise<void> {
  const writer = new Level0Writer(client, logger);
  for (let claims = 0; ; claims++) {
    const { max, newest } = await maxTxidsOfReplica(client, op);
    if (newest === undefined) return;
    const claim = await claimBehind(client, newest, { ...op, beforeMs: Date.now() });
    try {
      await writer.create(claim, op);
      logger.info('claimed the next TXID of the earlier holder of the lease', { txid: formatTxid(claim.txid) });
      return;
    } catch (error) {
      if (!hasCode(error, 'REPLICA_CONFLICT')) throw error;
      if (claims === CLAIMS_MAX) throw conflictError(max);
    }
  }
}

function behindError({ path, exists, localTxid }: TakeOverParts['database'], end: TXID): LitestreamError {
  const local = localTxid();
  const state = !exists()
    ? 'there is no database'
    : local === 0n
      ? 'the state of the database is not known'
      : `the database is at TXID ${formatTxid(local)}`;
  const message = `${state}, but the replica has acknowledged commits of an earlier holder of the lease, up to TXID ${formatTxid(end)}: ${path}`;
  const first = exists() ? 'Move the database and its metadata folder away, and start' : 'Start';
  const hint = `${first} with restore-if-db-not-exists: it is restored once the lease is held. ${BREAK_HINT}`;
  return refusedError(message, path, hint);
}
