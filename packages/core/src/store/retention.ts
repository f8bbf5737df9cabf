/**
 * What may be deleted: pure decisions over listings. Each errs on the side of keeping, because a file deleted too early
 * is a restore that fails.
 */
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../client/contract.ts';

export interface SnapshotRetention {
  readonly expired: readonly LtxFileInfo[];
  /**
   * Files of lower levels whose last TXID is below this are not needed by any kept snapshot. `undefined` keeps all.
   * It is the end of the newest *expired* snapshot, not of the oldest kept one: a restore that was planned a moment
   * ago may still stand on the expired snapshot and read the files that follow it.
   */
  readonly floor: TXID | undefined;
}

/** Snapshots older than `before`; the newest snapshot is always kept, whatever its age. */
export function expiredSnapshots(snapshots: readonly LtxFileInfo[], before: Date): SnapshotRetention {
  const expired = snapshots.slice(0, -1).filter((file) => file.timestamp < before);
  const firstKept = snapshots.findIndex((file) => !expired.includes(file));
  return { expired, floor: firstKept > 0 ? snapshots[firstKept - 1]?.maxTxid : undefined };
}

/** Files of a level that end below `floor`. The newest file is always kept: it marks how far the level has come. */
export function expiredBelow(files: readonly LtxFileInfo[], floor: TXID): readonly LtxFileInfo[] {
  return files.slice(0, -1).filter((file) => file.maxTxid < floor);
}

/**
 * Level 0 files that level 1 holds already and that are older than `before`. The newest file is always kept: the
 * position is read from it. Stops at the first young file, so what is left is contiguous.
 */
export function expiredLevel0(files: readonly LtxFileInfo[], compactedTo: TXID, before: Date): readonly LtxFileInfo[] {
  const expired: LtxFileInfo[] = [];
  for (const file of files.slice(0, -1)) {
    if (file.timestamp > before || file.maxTxid > compactedTo) break;
    expired.push(file);
  }
  return expired;
}
