/** The level that holds snapshots, as upstream has it (`compaction_level.go`). Levels below hold transactions. */
export const SNAPSHOT_LEVEL = 9;

/** All of them, ascending. */
export const LEVELS: readonly number[] = Array.from({ length: SNAPSHOT_LEVEL + 1 }, (_, level) => level);

/** A file that restores may stand on: one that lies at level 9 and begins later is no base, however it came there. */
export function isSnapshotFile(file: { readonly level: number; readonly minTxid: bigint }): boolean {
  return file.level === SNAPSHOT_LEVEL && file.minTxid === 1n;
}
