import { formatLtxFilename, formatTxid } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { hasCode, LitestreamError } from '../../util/error.ts';
import { silentLogger } from '../../util/logger.ts';
import type { Logger } from '../../util/logger.ts';
import { extendChain, newestSnapshot } from './chain.ts';
import type { RestoreTarget } from './chain.ts';
import { chainError } from './plan-errors.ts';
import { NO_DOUBTS, timeDoubts, warnOfDoubts } from './time-doubts.ts';
import type { TimeDoubts } from './time-doubts.ts';
import { SNAPSHOT_LEVEL } from '../../storage/contract/levels.ts';

/**
 * Files to apply in this order to reach the target, the first of which starts at TXID 1.
 *
 * Throws if the target cannot be restored, with the range that can be: `REPLICA_EMPTY`, `REPLICA_GAP`,
 * `TXID_OUT_OF_RANGE`, `TIMESTAMP_OUT_OF_RANGE`. `nowMs` tells a timestamp of an idle database from one in the future.
 */
export function planChain(files: readonly LtxFileInfo[], target: RestoreTarget, nowMs: number): LtxFileInfo[] {
  const snapshot = newestSnapshot(files, target);
  const chain = extendChain(files, snapshot?.maxTxid ?? 0n, target);
  if (snapshot !== undefined) chain.unshift(snapshot);
  const error = chainError(files, chain, target, nowMs);
  if (error !== undefined) throw error;
  return chain;
}

export interface PlanOptions extends RestoreTarget, Op {
  readonly logger?: Logger | undefined;
  /** Current time in milliseconds, for tests. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

const RELIST_COUNT_MAX = 2;

/**
 * Lists the replica and plans a restore; see `planChain` for the errors. Warns if a requested time meets files whose
 * times cannot be right.
 *
 * Lists all levels at once. Compaction and retention may move files between two listings, which looks like a gap, so
 * before a gap is reported the levels are listed again one after the other, lowest first: files only ever move upwards.
 */
export async function planRestore(client: ReplicaClient, options: PlanOptions = {}): Promise<LtxFileInfo[]> {
  return [...(await planWithDoubts(client, options)).files];
}

export interface RestorePlan {
  /** To apply in this order. */
  readonly files: readonly LtxFileInfo[];
  /** Files that were left out because their times cannot be right; both lists are empty unless a time is requested. */
  readonly doubts: TimeDoubts;
}

export async function planWithDoubts(client: ReplicaClient, options: PlanOptions): Promise<RestorePlan> {
  const { txid, timestamp, signal } = options;
  const logger = options.logger ?? silentLogger;
  const now = options.now ?? Date.now;
  if (txid !== undefined && timestamp !== undefined) {
    throw new LitestreamError('a restore takes a TXID or a timestamp, not both', {
      code: 'INVALID_ARGUMENT',
      operation: 'restore',
    });
  }
  // Plain JavaScript may pass any type.
  if (txid !== undefined && typeof txid !== 'bigint') {
    throw new LitestreamError('txid: expected a bigint, such as 5n', {
      code: 'INVALID_ARGUMENT',
      operation: 'restore',
    });
  }
  if (timestamp !== undefined && !(timestamp instanceof Date)) {
    throw new LitestreamError("timestamp: expected a Date, such as new Date('2020-01-01')", {
      code: 'INVALID_ARGUMENT',
      operation: 'restore',
    });
  }
  if (txid !== undefined && txid < 1n) {
    throw new LitestreamError(`TXIDs start at 1, ${txid} is none`, { code: 'INVALID_ARGUMENT', operation: 'restore' });
  }
  if (timestamp !== undefined && Number.isNaN(timestamp.getTime())) {
    throw new LitestreamError('timestamp: the Date is not valid', { code: 'INVALID_ARGUMENT', operation: 'restore' });
  }
  // Exact times may cost a client one request per file; only a restore to a time needs them.
  const listing: Listing = { client, useMetadata: timestamp !== undefined, signal };
  const target: RestoreTarget = { txid, timestamp, baseBefore: options.baseBefore };
  for (let attempt = 0; ; attempt++) {
    const files = attempt === 0 ? await listFast(listing, target) : await listInOrder(listing);
    try {
      const nowMs = now();
      const plan = planChain(files, target, nowMs);
      logPlan(plan, target, logger);
      const chosen = plan.at(-1);
      if (timestamp === undefined || chosen === undefined) return { files: plan, doubts: NO_DOUBTS };
      const doubts = timeDoubts(files, { reached: chosen.maxTxid, timeMs: timestamp.getTime(), nowMs });
      warnOfDoubts(doubts, chosen, logger);
      return { files: plan, doubts };
    } catch (error) {
      if (!hasCode(error, 'REPLICA_GAP') || attempt === RELIST_COUNT_MAX) throw error;
      logger.debug('restore plan has a gap, listing again', { error: error.message });
    }
  }
}

function logPlan(plan: readonly LtxFileInfo[], target: RestoreTarget, logger: Logger): void {
  const fact = { target: formatTxid(target.txid ?? 0n) };
  for (const { level, minTxid, maxTxid } of plan) {
    if (level === SNAPSHOT_LEVEL) {
      logger.debug('found snapshot before target TXID or timestamp', { ...fact, snapshot: formatTxid(maxTxid) });
    } else {
      logger.debug('matching LTX file for restore', { ...fact, filename: formatLtxFilename(minTxid, maxTxid), level });
    }
  }
}

export interface Listing {
  readonly client: ReplicaClient;
  readonly useMetadata: boolean;
  readonly signal: AbortSignal | undefined;
}

async function listLevel(
  listing: Listing,
  level: number,
  keep: (file: LtxFileInfo) => boolean,
): Promise<LtxFileInfo[]> {
  const files: LtxFileInfo[] = [];
  const { client, useMetadata, signal } = listing;
  for await (const file of client.ltxFiles(level, { useMetadata, signal })) {
    signal?.throwIfAborted();
    if (keep(file)) files.push(file);
  }
  return files;
}

/**
 * Lists snapshots first: files that they cover are dropped while they are listed, so memory grows only with the files
 * after them.
 */
async function listFast(listing: Listing, target: RestoreTarget): Promise<LtxFileInfo[]> {
  const snapshots = await listLevel(listing, SNAPSHOT_LEVEL, () => true);
  const base = newestSnapshot(snapshots, target)?.maxTxid ?? 0n;
  const levels = Array.from({ length: SNAPSHOT_LEVEL }, (_, level) => level);
  const rest = await Promise.all(
    levels.map((level) => listLevel(listing, level, (file) => file.maxTxid > base || file.minTxid === 1n)),
  );
  return [...snapshots, ...rest.flat()];
}

/** Lowest level first: compaction moves files upwards, so none is missed. */
export async function listInOrder(listing: Listing): Promise<LtxFileInfo[]> {
  const levels: LtxFileInfo[][] = [];
  for (let level = 0; level <= SNAPSHOT_LEVEL; level++) levels.push(await listLevel(listing, level, () => true));
  return levels.flat();
}
