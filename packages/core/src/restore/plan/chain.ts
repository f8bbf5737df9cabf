/**
 * Chooses the files that make the state of a database at a target: the newest snapshot not past it, then, again and
 * again, the file that starts no later than the next transaction and reaches furthest. Pure functions over a listing.
 */
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../../storage/contract/contract.ts';
import { SNAPSHOT_LEVEL } from '../../storage/contract/levels.ts';

/** What to restore. Neither given means the newest state. */
export interface RestoreTarget {
  /** State after exactly this transaction. */
  readonly txid?: TXID | undefined;
  /** State after the last transaction not later than this, as far as file boundaries of the replica allow. */
  readonly timestamp?: Date | undefined;
  /** Begin with a snapshot that ends before this transaction. Default: with the newest one that leads to the state. */
  readonly baseBefore?: TXID | undefined;
}

/** May the file be part of a restore to this target? False if it holds transactions past it. */
export function isEligible(file: LtxFileInfo, target: RestoreTarget): boolean {
  if (target.txid !== undefined && file.maxTxid > target.txid) return false;
  return target.timestamp === undefined || file.timestamp.getTime() <= target.timestamp.getTime();
}

/**
 * The preference of Litestream (Go) between two files that both continue a chain: by end, then start, then level, then
 * age.
 */
export function isBetter(a: LtxFileInfo, b: LtxFileInfo): boolean {
  if (a.maxTxid !== b.maxTxid) return a.maxTxid > b.maxTxid;
  if (a.minTxid !== b.minTxid) return a.minTxid < b.minTxid;
  if (a.level !== b.level) return a.level > b.level;
  return a.timestamp.getTime() < b.timestamp.getTime();
}

/** The snapshot with the highest TXID that is not past the target. */
export function newestSnapshot(files: readonly LtxFileInfo[], target: RestoreTarget): LtxFileInfo | undefined {
  let newest: LtxFileInfo | undefined;
  for (const file of files) {
    if (file.level !== SNAPSHOT_LEVEL || file.minTxid !== 1n || !isEligible(file, target)) continue;
    if (target.baseBefore !== undefined && file.maxTxid >= target.baseBefore) continue;
    if (newest === undefined || file.maxTxid >= newest.maxTxid) newest = file;
  }
  return newest;
}

/** Extends a chain that ends at `from` as far as the target allows: O(n log n) in the number of files. */
export function extendChain(files: readonly LtxFileInfo[], from: TXID, target: RestoreTarget): LtxFileInfo[] {
  const candidates = files.filter(
    (file) => file.level !== SNAPSHOT_LEVEL && file.maxTxid > from && isEligible(file, target),
  );
  candidates.sort((a, b) => (a.minTxid < b.minTxid ? -1 : a.minTxid > b.minTxid ? 1 : 0));
  const chain: LtxFileInfo[] = [];
  let reached = from;
  let next = 0;
  let best: LtxFileInfo | undefined;
  for (;;) {
    for (let file = candidates[next]; file !== undefined && file.minTxid <= reached + 1n; file = candidates[++next]) {
      if (best === undefined || isBetter(file, best)) best = file;
    }
    if (best === undefined || best.maxTxid <= reached) return chain;
    chain.push(best);
    reached = best.maxTxid;
  }
}
