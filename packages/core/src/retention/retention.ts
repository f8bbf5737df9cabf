/**
 * Decides which files may be deleted, with pure functions over listings. In doubt, they keep a file, because a file
 * that is deleted too early makes a restore fail.
 */
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../storage/contract/contract.ts';
import { isSnapshotFile } from '../storage/contract/levels.ts';
import type { AgeLimit } from './file-ages.ts';

export interface SnapshotRetention {
  readonly expired: readonly LtxFileInfo[];
  /**
   * Files of lower levels whose last TXID is below this are not needed by any kept snapshot. `undefined` keeps all. It
   * is the end of the newest *expired* snapshot, not of the oldest kept one: a restore that was just planned may still
   * start from the expired snapshot and read the files that follow it.
   */
  readonly floor: TXID | undefined;
}

/**
 * Files at the snapshot level that are older than `limit`. The newest snapshot is always kept, regardless of its age,
 * and so are files that are no snapshots.
 */
export function expiredSnapshots(files: readonly LtxFileInfo[], limit: AgeLimit): SnapshotRetention {
  const snapshots = files.filter(isSnapshotFile);
  const expired = snapshots.slice(0, -1).filter((file) => isOlder(file, limit));
  const firstKept = snapshots.findIndex((file) => !expired.includes(file));
  return { expired, floor: firstKept > 0 ? snapshots[firstKept - 1]?.maxTxid : undefined };
}

function isOlder({ timestamp, maxTxid }: LtxFileInfo, { before, seenTo }: AgeLimit): boolean {
  return timestamp < before || maxTxid <= seenTo;
}

/** Files of a level that end below `floor`. The newest file is always kept: it marks the end of the level. */
export function expiredBelow(files: readonly LtxFileInfo[], floor: TXID): readonly LtxFileInfo[] {
  return files.slice(0, -1).filter((file) => file.maxTxid < floor);
}

/** For level 0, where a file at the limit is old enough. */
export function isRecent({ timestamp, maxTxid }: LtxFileInfo, { before, seenTo }: AgeLimit): boolean {
  return timestamp > before && maxTxid > seenTo;
}

/** The decision of retention for level 0. */
export interface Level0Retention {
  readonly expired: readonly LtxFileInfo[];
  /** Files that level 1 does not hold yet, or that may be kept only because of such a file. */
  readonly notCompacted: number;
  readonly tooRecent: number;
}

/**
 * Level 0 files that a file of level 1 holds and that are older than `limit`. The newest file is always kept: the
 * position is read from it. Ends at the first file that is recent or not compacted, so the rest has no new gap; but it
 * skips a file that compaction left behind (because it was damaged) if a snapshot covers it. Files that level 1 holds
 * in one file are deleted together, so that each remaining file still continues a chain, and can be restored.
 */
export function expiredLevel0(
  files: readonly LtxFileInfo[],
  held: { readonly level1: readonly LtxFileInfo[]; readonly snapshot: TXID },
  limit: AgeLimit,
): Level0Retention {
  const compactedTo = held.level1.reduce((max, file) => (file.maxTxid > max ? file.maxTxid : max), 0n);
  const ends = new Set(held.level1.map(({ maxTxid }) => maxTxid));
  let count = 0;
  let next = 0;
  for (const [index, file] of files.slice(0, -1).entries()) {
    if (isRecent(file, limit)) break;
    // Both ascend.
    while ((held.level1[next]?.maxTxid ?? file.maxTxid) < file.maxTxid) next += 1;
    const covering = held.level1[next];
    const isHeld = covering !== undefined && covering.minTxid <= file.minTxid;
    if (!isHeld && (file.maxTxid > compactedTo || file.maxTxid > held.snapshot)) break;
    const isEnd = ends.has(file.maxTxid) || file.maxTxid === held.snapshot;
    const isBeforeLast = index === files.length - 2 && ends.has(files.at(-1)?.maxTxid ?? 0n);
    if (isEnd || isBeforeLast) count = index + 1;
  }
  const rest = files.slice(count);
  const tooRecent = rest.filter((file) => isRecent(file, limit)).length;
  return {
    expired: files.slice(0, count),
    notCompacted: rest.filter((file) => file.maxTxid > compactedTo).length,
    tooRecent,
  };
}
