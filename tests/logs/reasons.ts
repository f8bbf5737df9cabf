/** Why log lines of ours may differ from Go's. A line without a like one of Go's, and without a reason, is a fault. */

/** Keys that ours adds after Go's. */
export const ADDED_KEYS: Readonly<Record<string, string>> = {
  hint: 'What to do about an error.',
  reason: 'Why a snapshot was taken. Go logs it for some snapshots only.',
  replica: 'The replica. Go has one for each database.',
};

/** Lines of Go that ours never logs. */
export const GO_ALONE: Readonly<Record<string, string>> = {
  verify: 'Before every sync Go compares the last page that it has read. Ours compares checksums of the WAL.',
  'verify.2': 'As `verify`.',
  'db not ready, skipping':
    'In ours, compaction of a replica begins after its first upload. It never meets a replica that is not ready.',
  'scheduling retry for unready dbs': 'As `db not ready, skipping`.',
  'compacting into database': 'Ours writes each page to its place in the output. It has no such step.',
  'finding ltx files for level': 'Ours lists all levels at the same time.',
  'finding snapshot before target TXID or timestamp': 'Ours logs only the snapshot that it found.',
};

/** Lines of ours that Go has not. */
export const OURS_ALONE: Readonly<Record<string, string>> = {
  'another litestream replicates this database, standing by': 'Go does not detect another process.',
  'a file of an earlier holder of the lease arrived late, continuing after it': 'Go’s replicate takes no lease.',
  'cannot ask for the lease, trying again': 'Go’s replicate takes no lease.',
  'cannot release the lease, the next process waits until it expires': 'Go’s replicate takes no lease.',
  'cannot renew the lease, trying again': 'Go’s replicate takes no lease.',
  'claimed the next TXID of the earlier holder of the lease': 'Go’s replicate takes no lease.',
  'lease acquired': 'Go’s replicate takes no lease.',
  'lease lost, commits of this database are no longer replicated': 'Go’s replicate takes no lease.',
  'lease lost, stopping the exec process: its writes are not replicated': 'Go’s replicate takes no lease.',
  'lease not renewed in time, no writes to the replica until it is renewed': 'Go’s replicate takes no lease.',
  'lease released': 'Go’s replicate takes no lease.',
  'lease renewed again': 'Go’s replicate takes no lease.',
  'taking over an expired lease': 'Go’s replicate takes no lease.',
  'waiting for the lease': 'Go’s replicate takes no lease.',
  'another process writes to this replica, commits of this database are no longer replicated':
    'Go does not detect another process.',
  'cannot record that the whole database is to be replicated, a restart would not know it': 'Go keeps no such record.',
  'cannot replicate database': 'Go exits if one database cannot be opened. Ours continues with the others.',
  'cannot watch for changes, looking once per monitor interval instead': 'Go does not watch files.',
  'clock was set back, transactions are stamped in their order until it has caught up': 'Go does not check the clock.',
  'config not reloaded, going on with what was running': 'Go does not reload its config.',
  'config reloaded': 'Go does not reload its config.',
  'database file was removed or replaced, reopening': 'Go does not detect it.',
  'database does not exist, waiting for it': 'Go waits and logs nothing.',
  'database is locked, waiting': 'Go logs an error at once.',
  'database is not ready, waiting for it': 'Go opens the file as it is, and writes to it.',
  'failed to close database':
    'Go 0.5.17 logs it. Go 0.5.18 prints the error on standard error when it exits; ours logs it and prints it.',
  'files of the replica were deleted by another program, taking a snapshot; nothing counts as replicated until it is there':
    'Go does not detect it.',
  'last local ltx file is damaged, snapshotting': 'Go stops replicating.',
  'level 0 of the replica is gone, taking a snapshot': 'Go does not detect it.',
  'local ltx file is missing or damaged, replacing it by a snapshot': 'Go stops replicating, or starts from scratch.',
  'local ltx files belong to another timeline than the replica, taking a snapshot': 'Go does not detect it.',
  'WAL maintenance failed': 'Go has no such step.',
  'newest L0 file on replica is damaged, snapshotting': 'Go stops replicating.',
  'no room for a local file of the whole database, replicas get a snapshot in its place': 'Go fills the disk.',
  'no snapshot, the database is gone': 'Go logs an error.',
  'replica and database have no file in common to compare, taking a snapshot': 'Go does not compare them.',
  'planned file is gone, planning again':
    'Go 0.5.18 plans again, too, with words of its own (`restore file disappeared, recalculating plan`); Go 0.5.17 fails.',
  'removed database was not replicated to its end': 'Go logs nothing.',
  'replica has a damaged file, a snapshot makes up for it': 'Go cannot compact from then on.',
  'replica has a damaged file, taking a snapshot': 'Go cannot compact from then on.',
  'replica has a gap, a snapshot makes up for it': 'Go cannot compact from then on.',
  'replica has a gap, taking a snapshot': 'Go cannot compact from then on.',
  'replica holds transactions that the database does not have, replacing them by a snapshot': 'Go does not detect it.',
  'replica is ahead of the database, reopening the database to continue above the replica':
    'Go has one replica for each database.',
  'database could not be brought to rest, its WAL stays': 'Go leaves the WAL as it is.',
  'database is in use, its WAL stays': 'Go leaves the WAL as it is.',
  'state of the database file could not be recorded': 'Go keeps no such record.',
  'replica is too far behind, it gets a snapshot once it answers': 'Go has one replica for each database.',
  'replica operation failed, retrying': 'In Go the SDKs of the backends retry.',
  'restore plan has a gap, listing again': 'Go fails.',
  'sending signal to exec process': 'Go 0.5.17 logs it, Go 0.5.18 does not.',
  'shutdown sync skipped': 'Go exits without it.',
  'shutdown sync interrupted by signal': 'Go 0.5.17 logs it. Go 0.5.18 exits without it.',
  'shutdown sync skipped, interrupted by signal': 'Go 0.5.17 logs it. Go 0.5.18 exits without it.',
  'snapshot in place of a whole database': 'Go fills the disk.',
  'snapshot is streamed, there is no room to make it on the disk': 'Go always streams snapshots.',
  'page ledger could not be rebuilt': 'Go keeps no page checksums.',
  'page ledger could not be written': 'Go keeps no page checksums.',
  'page ledger built from a snapshot': 'Go keeps no page checksums.',
  'pages of the database differ from what was replicated': 'Go does not compare pages.',
  'taking only the pages that differ': 'Go takes the whole database.',
  'sync: database was removed': 'Go logs an error.',
  'taking over from the other litestream': 'Go does not detect another process.',
  'the other process writes no more to this replica, continuing after its files': 'Go does not detect another process.',
  'the rest of the log of a removed database could not be read': 'Go does not read it.',
  'this storage cannot create a file only if there is none: another process that replicates to the same place is noticed before an upload, but not during one, and one of two commits made at that moment can be lost':
    'Go replaces the file that is there.',
  'waiting for exec process to close': 'Go 0.5.17 logs it, Go 0.5.18 does not.',
};

/** Lines of ours that have other keys, by message: Go’s keys, and why. */
export const OTHER_KEYS: Readonly<Record<string, string>> = {
  'deleting ltx file': 'Without the `path` or `key` of the group: core does not know them, only the client does.',
  'validation check failed': 'With the database.',
  'validation error detected': 'With the database and the file.',
  'disk full while staging ltx file, replication paused until space is freed': 'Without `txid`.',
  'post-compaction verification failed': 'Without `subsystem`.',
  'using v0.3.x restore (better snapshot for timestamp)': 'Without `ltx_snapshot`.',
};

/** Lines that depend on time running out at the right moment, so not every recording has them; read in Go's source. */
export const FROM_SOURCE: readonly string[] = [
  'DEBUG deleting expired local l0 file | system=store db:text minTXID:txid maxTXID:txid path:text',
  'DEBUG enforcing retention | system=store db:text subsystem=compactor level:number txid:txid',
  'DEBUG filling wal growth pages from database | system=store db:text txid:txid n:number prev_commit:number commit:number',
  'DEBUG heartbeat ping sent | system=store url:text',
  'DEBUG skipping remote deletion (retention disabled) | system=store db:text level:number count:number',
  'DEBUG using v0.3.x restore (better snapshot for timestamp) | replica=file v3_snapshot:time ltx_snapshot:time',
  'DEBUG using v0.3.x restore (more recent backup) | replica=file v3_updated_at:time ltx_updated_at:time',
  'ERROR cannot start metrics server | error:text',
  'ERROR directory watcher error | dir:text error:text',
  'ERROR disk full while staging ltx file, replication paused until space is freed | system=store db:text error:text path:text txid:txid consecutive_errors:number backoff:duration max_backoff:duration',
  'ERROR follow: error applying updates | replica=file err:text consecutive_errors:number',
  'ERROR heartbeat ping failed | system=store url:text error:text',
  'ERROR no databases specified in configuration | ',
  'ERROR register database with store | dir:text path:text error:text',
  'INFO forcing truncate checkpoint | system=store db:text wal_size:number threshold:number',
  'INFO shutdown sync succeeded after retry | system=store db:text attempts:number duration:duration',
  'INFO wal restarted by passive checkpoint, skipping truncate checkpoint | system=store db:text wal_size:number threshold:number',
  'WARN failed to start control server | error:text',
  'WARN post-compaction verification failed | system=store db:text subsystem=compactor level:number error:text',
  'WARN retention disabled; cloud provider lifecycle policies must handle retention | hint:text',
  'WARN invalid shutdown-timeout; using default | value:text default:duration',
  'WARN snapshot retention is shorter than snapshot interval | field:text retention:duration interval:duration',
  'WARN validation error detected | system=store level:number type:text message:text',
  'ERROR compaction failed | system=store db:text level:number error:text',
  'ERROR l0 retention enforcement failed | system=store db:text path:text error:text',
  'ERROR retention enforcement failed | system=store db:text error:text',
  'ERROR validation check failed | system=store error:text',
  'ERROR shutdown sync failed after timeout | system=store db:text attempts:number duration:duration error:text',
  'WARN shutdown sync failed, retrying | system=store db:text attempts:number error:text elapsed:duration remaining:duration',
  'DEBUG no compaction | system=store db:text level:number path:text',
  'DEBUG sync: no database found | system=store db:text',
];
