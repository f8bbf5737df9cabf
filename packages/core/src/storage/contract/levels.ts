/** The level of snapshots, as in Litestream (Go) (`compaction_level.go`). Levels below hold transactions. */
export const SNAPSHOT_LEVEL = 9;

/** All levels, ascending. */
export const LEVELS: readonly number[] = Array.from({ length: SNAPSHOT_LEVEL + 1 }, (_, level) => level);

/**
 * Can a restore start from the file? A file at level 9 that does not begin at TXID 1 is no base, however it came there.
 */
export function isSnapshotFile(file: { readonly level: number; readonly minTxid: bigint }): boolean {
  return file.level === SNAPSHOT_LEVEL && file.minTxid === 1n;
}
