export * from './client/backoff.ts';
export * from './client/capabilities.ts';
export * from './client/classify.ts';
export * from './client/contract.ts';
export * from './client/file-client.ts';
export * from './client/guard-client.ts';
export * from './client/guard-options.ts';
export * from './client/leaser.ts';
export * from './client/object-names.ts';
export * from './client/redact.ts';
export * from './client/resumable-reader.ts';
export * from './client/sdk-abort.ts';
export * from './client/sdk-errors.ts';
export * from './client/sdk-load.ts';
export * from './client/sdk-pool.ts';
export * from './client/sdk-stream.ts';
export * from './client/timing.ts';
export * from './client/wrap-error.ts';
export { copyReplica } from './copy/copy-replica.ts';
export type { CopyOptions, CopyProgress, CopyResult } from './copy/copy-replica.ts';
export { DB } from './db/db.ts';
export type { DbStatus } from './db/db.ts';
export { isKnownFile } from './db/descriptor.ts';
export { LocalLtx } from './db/local-ltx.ts';
export type { LocalLtxFile } from './db/local-ltx.ts';
export type { DbOptions, History, Position } from './db/options.ts';
export type { SnapshotStream } from './db/snapshot.ts';
export { betterSqlite3 } from './driver/better-sqlite3.ts';
export type { BetterSqlite3 } from './driver/better-sqlite3.ts';
export { loadNodeSqlite, nodeSqlite } from './driver/node-sqlite.ts';
export type { SqliteConnection, SqliteDriver, SqliteRow, SqliteValue } from './driver/sqlite-driver.ts';
export * from './error.ts';
export { Follower } from './follow/follower.ts';
export type { FollowOptions, FollowUpdate } from './follow/follower.ts';
export { Litestream } from './litestream.ts';
export type {
  LitestreamEvents,
  LitestreamOptions,
  LitestreamStoreOptions,
  ReplicaTarget,
  ReplicateOptions,
} from './litestream.ts';
export type { ReplicatedDatabase } from './litestream/replicated-database.ts';
export * from './logger.ts';
export * from './plugin/config-reader.ts';
export { file } from './plugin/file-plugin.ts';
export * from './plugin/plugin.ts';
export { PluginRegistry } from './plugin/registry.ts';
export type { RegistryOptions, ReplicaSpec } from './plugin/registry.ts';
export * from './plugin/replica-url.ts';
export { Replica } from './replica/replica.ts';
export type { ReplicaOptions, ReplicaStatus, StopOptions } from './replica/replica.ts';
export type { RestoreTarget } from './restore/chain.ts';
export type { IntegrityCheck } from './restore/integrity.ts';
export { planRestore } from './restore/plan.ts';
export type { PlanOptions } from './restore/plan.ts';
export { restore } from './restore/restore.ts';
export type { RestoreOptions, RestoreProgress, RestoreResult } from './restore/restore.ts';
export { Compactor } from './store/compactor.ts';
export type { CompactorOptions, LocalFiles } from './store/compactor.ts';
export { DEFAULT_LEVELS, SNAPSHOT_LEVEL } from './store/levels.ts';
export type { CompactionLevel } from './store/levels.ts';
export { Store } from './store/store.ts';
export type { StoreOptions } from './store/store.ts';
export { StoredReplica } from './store/stored-replica.ts';
export type { ReplicaUnderStore, StoredReplicaOptions } from './store/stored-replica.ts';
export { validateReplica } from './store/validation.ts';
export type { ValidationFault, ValidationOptions, ValidationReport } from './store/validation.ts';
export type { TXID } from '@litestream/ltx';
