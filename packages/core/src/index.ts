export * from './util/backoff.ts';
export * from './storage/contract/capabilities.ts';
export * from './storage/errors/classify.ts';
export * from './storage/contract/contract.ts';
export { currentClientCall } from './storage/guard/current-call.ts';
export type { ClientCall } from './storage/guard/current-call.ts';
export { errorText } from './storage/errors/error-text.ts';
export * from './storage/file/file-client.ts';
export * from './storage/guard/guard-client.ts';
export * from './storage/guard/guard-options.ts';
export { fencedClient } from './lease/fenced-client.ts';
export type { WriteLimit } from './lease/fenced-client.ts';
export type { ReplicaFence } from './replica/position/fence.ts';
export { LeaseHolder } from './lease/holder.ts';
export type { AcquireOptions, Inherited, LeaseHolderOptions, LeaseOptions } from './lease/holder-options.ts';
export { Leaser } from './lease/leaser.ts';
export type { LeaserOptions, LeaseWriteOptions } from './lease/leaser.ts';
export { LEASE_KEY, LEASE_TTL_MS } from './lease/record.ts';
export type { Lease, LeaseRecord } from './lease/record.ts';
export type { LeaseStatus } from './lease/status.ts';
export { takeOver } from './lease/take-over.ts';
export type { TakeOverParts } from './lease/take-over.ts';
export { withCreatedAt } from './storage/reading/created-at.ts';
export * from './storage/contract/object-names.ts';
export * from './storage/errors/redact.ts';
export * from './storage/errors/redact-error.ts';
export * from './storage/reading/resumable-reader.ts';
export * from './storage/errors/malformed-answer.ts';
export * from './storage/client-kit/page-tokens.ts';
export * from './storage/client-kit/sdk-abort.ts';
export * from './storage/errors/sdk-errors.ts';
export * from './storage/client-kit/sdk-load.ts';
export * from './storage/client-kit/sdk-pool.ts';
export * from './storage/client-kit/sdk-stream.ts';
export { machineCertificates, trustedCertificates, trustedTls } from './storage/client-kit/trust.ts';
export * from './storage/errors/wrap-error.ts';
export { sleep, systemClock } from './util/clock.ts';
export type { Clock } from './util/clock.ts';
export { copyReplica } from './copy/copy-replica.ts';
export type { CopyOptions, CopyProgress, CopyResult } from './copy/copy-replica.ts';
export { DB } from './db/db.ts';
export type { DbActivity } from './db/status/current-work.ts';
export type { DbTotals, WorkTotals } from './db/status/work-totals.ts';
export type { Checkpoint, DbStatus } from './db/status/db-status.ts';
export type { PageProof } from './ledger/ledger.ts';
export { isKnownFile } from './sqlite/database-file/descriptor.ts';
export { realDatabasePath } from './files/real-path.ts';
export { withMetadataLock } from './db/metadata/metadata-lock.ts';
export { isInUse as isDatabaseInUse } from './db/metadata/metadata-lock-errors.ts';
export type { DatabaseInUseError } from './db/metadata/metadata-lock-errors.ts';
export type { LockHolder } from './files/held-locks.ts';
export { LocalLtx } from './local-ltx/local-ltx.ts';
export type { LocalLtxFile } from './local-ltx/local-ltx.ts';
export type { DbOptions, History, OpenOptions, Position, SyncOptions } from './db/session/options.ts';
export type { OnWriteProgress, WriteProgress } from './local-ltx/writer/write-job.ts';
export type { SnapshotStream } from './db/snapshot/snapshot.ts';
export { betterSqlite3 } from './sqlite/driver/better-sqlite3.ts';
export type { BetterSqlite3 } from './sqlite/driver/better-sqlite3.ts';
export { loadNodeSqlite, nodeSqlite } from './sqlite/driver/node-sqlite.ts';
export type {
  SqliteConnection,
  SqliteDriver,
  SqliteRow,
  SqliteValue,
  WorkerLibrary,
} from './sqlite/driver/sqlite-driver.ts';
export type { DrillResult } from './drill/drill.ts';
export type { DrillStatus } from './drill/drills.ts';
export { DEFAULTS } from './util/defaults.ts';
export type { Defaults } from './util/defaults.ts';
export * from './util/error.ts';
export { distrust } from './files/path-trust.ts';
export { Follower } from './follower/follower.ts';
export type { FollowOptions, FollowUpdate } from './follower/follower.ts';
export { Litestream } from './litestream/litestream.ts';
export type {
  LitestreamEvents,
  LitestreamOptions,
  LitestreamStoreOptions,
  ReplicateOptions,
} from './litestream/litestream-options.ts';
export { Container } from './litestream/composition/container.ts';
export type { Token } from './litestream/composition/container.ts';
export type { ClientFactory, OpenClient, ReplicaTarget } from './litestream/composition/client-factory.ts';
export { parts } from './litestream/composition/tokens.ts';
export type { Composition, DatabaseParts, ReplicaParts, RootParts } from './litestream/composition/tokens.ts';
export type { DatabaseSettings, MaintenanceSettings, ReplicaSettings } from './litestream/composition/settings.ts';
export type {
  NamedReplicaStatus,
  ReplicatedDatabase,
  ReplicatedDatabaseStatus,
} from './litestream/replicated-database.ts';
export * from './util/logger.ts';
export * from './plugins/config-reader.ts';
export { file } from './plugins/file-plugin.ts';
export * from './plugins/plugin.ts';
export { PluginRegistry } from './plugins/registry.ts';
export type { PluginListing, RegistryOptions, ReplicaSpec } from './plugins/registry.ts';
export * from './plugins/replica-url.ts';
export { Replica } from './replica/replica.ts';
export type { ReplicaOptions, ReplicaStatus, StopOptions } from './replica/replica-options.ts';
export type { RestoreTarget } from './restore/plan/chain.ts';
export type { IntegrityCheck } from './restore/check/integrity.ts';
export { planRestore } from './restore/plan/plan.ts';
export type { TimeDoubts } from './restore/plan/time-doubts.ts';
export type { PlanOptions } from './restore/plan/plan.ts';
export { listRestorePoints } from './restore/restore-points.ts';
export type { LtxRestorePoint, RestorePoint, V3RestorePoint } from './restore/restore-points.ts';
export { restore } from './restore/restore.ts';
export { verifyLive } from './verify/verify-live.ts';
export type { LiveParts, LiveProof, LiveRepair, VerifyLiveOptions } from './verify/verify-live.ts';
export type { ComparedPages } from './db/snapshot/compare-pages.ts';
export { proveNewest } from './verify/prove-newest.ts';
export type { NewestState, ProofFault } from './verify/prove-newest.ts';
export { verifyReplica } from './verify/verify-replica.ts';
export type { VerifiedLevel, VerifyFault, VerifyOptions, VerifyReport } from './verify/verify-replica.ts';
export type { ProofMode, RestoreOptions, RestoreProgress, RestoreResult } from './restore/plan/restore-options.ts';
export { Compactor } from './compaction/compactor.ts';
export type { CompactorOptions, LocalFiles } from './compaction/compactor.ts';
export { DEFAULT_LEVELS } from './compaction/compaction-levels.ts';
export { SNAPSHOT_LEVEL } from './storage/contract/levels.ts';
export type { CompactionLevel } from './compaction/compaction-levels.ts';
export { LocalLevel0 } from './retention/local-level0.ts';
export { Store } from './maintenance/store.ts';
export type { StoreOptions } from './maintenance/store.ts';
export { StoredReplica } from './maintenance/stored-replica.ts';
export type { Level0Counts } from './retention/retention-pass.ts';
export type {
  ReplicaUnderStore,
  StoredReplicaCounts,
  StoredReplicaOptions,
} from './maintenance/stored-replica-options.ts';
export type { ValidationOutcome } from './verify/validation-outcomes.ts';
export { validateReplica } from './verify/validation.ts';
export type { ValidationFault, ValidationOptions, ValidationReport } from './verify/validation.ts';
export { litestreamChannel, TRACED_OPERATIONS } from './util/tracing.ts';
export type { TracedOperation, TraceMessage } from './util/tracing.ts';
export type { TXID } from '@litestream/ltx';
