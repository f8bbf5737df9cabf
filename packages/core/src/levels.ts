/** The level that holds snapshots, as upstream has it (`compaction_level.go`). Levels below hold transactions. */
export const SNAPSHOT_LEVEL = 9;
