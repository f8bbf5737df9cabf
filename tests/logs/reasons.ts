/** Why log lines of ours may differ from Go's. A line without a like one of Go's, and without a reason, is a fault. */

/** Keys that ours adds after Go's. */
export const ADDED_KEYS: Readonly<Record<string, string>> = {
  hint: 'What to do about an error.',
  reason: 'Why a snapshot was taken: Go says so only of some.',
  replica: 'Which replica: Go has one for each database.',
};

/** Lines of Go that ours never logs. */
export const GO_ALONE: Readonly<Record<string, string>> = {
  verify: 'Before every sync Go compares the last page that it has read; ours knows its place from checksums.',
  'verify.2': 'As `verify`.',
  'db not ready, skipping':
    'Ours takes care of a replica from its first upload on, so it never meets one that is not ready.',
  'scheduling retry for unready dbs': 'As `db not ready, skipping`.',
  'compacting into database': 'Ours writes pages straight into their places; there is no such step.',
  'finding ltx files for level': 'Ours lists all levels at the same time.',
  'finding snapshot before target TXID or timestamp': 'Ours says which one it found.',
};

/** Lines of ours that Go has not. */
export const OURS_ALONE: Readonly<Record<string, string>> = {
  'another litestream replicates this database, standing by': 'Go does not notice.',
  'another process writes to this replica, commits of this database are no longer replicated': 'Go does not notice.',
  'cannot record that the whole database is to be replicated, a restart would not know it': 'Go does not notice.',
  'cannot replicate database': 'One database that cannot be opened stops Go; ours goes on with the others.',
  'cannot watch for changes, looking once per monitor interval instead': 'Go never watches.',
  'clock was set back, transactions are stamped in their order until it has caught up': 'Go does not look.',
  'config not reloaded, going on with what was running': 'Go does not read its config anew.',
  'config reloaded': 'Go does not read its config anew.',
  'database file was removed or replaced, reopening': 'Go does not notice.',
  'database does not exist, waiting for it': 'Go waits in silence.',
  'database is locked, waiting': 'Go logs an error at once.',
  'database is not ready, waiting for it': 'Go opens what is there, and writes to it.',
  'files of the replica were deleted by another program, taking a snapshot; nothing counts as replicated until it is there':
    'Go does not notice.',
  'last local ltx file is damaged, snapshotting': 'Go stops.',
  'level 0 of the replica is gone, taking a snapshot': 'Go goes on as if it were there.',
  'local ltx file is missing or damaged, replacing it by a snapshot': 'Go stops, or starts over.',
  'local ltx files belong to another history than the replica, taking a snapshot': 'Go does not notice.',
  'log could not be tended': 'Go has no such step.',
  'newest L0 file on replica is damaged, snapshotting': 'Go stops.',
  'no room for a local file of the whole database, replicas get a snapshot in its place': 'Go fills the disk.',
  'no snapshot, the database is gone': 'Go logs an error.',
  'nothing is left to compare replica and database by, taking a snapshot': 'Go does not compare.',
  'planned file is gone, planning again': 'Go fails.',
  'removed database was not replicated to its end': 'Go says nothing of it.',
  'replica has a damaged file, a snapshot makes up for it': 'Go fails to compact from then on.',
  'replica has a damaged file, taking a snapshot': 'Go fails to compact from then on.',
  'replica has a gap, a snapshot makes up for it': 'Go fails to compact from then on.',
  'replica has a gap, taking a snapshot': 'Go fails to compact from then on.',
  'replica holds transactions that the database does not have, replacing them by a snapshot': 'Go does not notice.',
  'replica is ahead of the database, opening it anew to go on above it': 'Go has one replica for each database.',
  'database could not be brought to rest, its WAL stays': 'Go leaves the WAL as it is.',
  'database is in use, its WAL stays': 'Go leaves the WAL as it is.',
  'replica is too far behind, it gets a snapshot once it answers': 'Go has one replica for each database.',
  'replica operation failed, retrying': 'Go leaves that to its SDKs.',
  'restore plan has a gap, listing again': 'Go fails.',
  'snapshot in place of a whole database': 'Go fills the disk.',
  'snapshot is streamed, there is no room to make it on the disk': 'Go always streams.',
  'sync: database was removed': 'Go logs an error.',
  'taking over from the other litestream': 'Go does not notice.',
  'the other process writes no more to this replica, going on behind its files': 'Go does not notice.',
  'the rest of the log of a removed database could not be read': 'Go does not try.',
  'this storage cannot create a file only if there is none: another process that replicates to the same place is noticed before an upload, but not during one, and one of two commits made at that moment can be lost':
    'Go replaces what is there.',
};

/** Lines of ours that have other keys, by message: Go’s keys, and why. */
export const OTHER_KEYS: Readonly<Record<string, string>> = {
  'deleting ltx file': 'Without the `path` or `key` of the group: only the client knows where it keeps a file.',
  'validation check failed': 'Ours says of which database.',
  'validation error detected': 'Ours says of which database, and names the file.',
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
  'WARN shutdown sync interrupted by signal | system=store db:text attempts:number duration:duration error:text',
  'WARN shutdown sync skipped by user interrupt | error:text',
  'WARN shutdown sync skipped, interrupted by signal | system=store db:text attempts:number duration:duration',
  'WARN validation error detected | system=store level:number type:text message:text',
  'ERROR compaction failed | system=store db:text level:number error:text',
  'ERROR l0 retention enforcement failed | system=store db:text path:text error:text',
  'ERROR retention enforcement failed | system=store db:text error:text',
  'ERROR validation check failed | system=store error:text',
  'ERROR shutdown sync failed after timeout | system=store db:text attempts:number duration:duration error:text',
  'WARN shutdown sync failed, retrying (press Ctrl+C again to skip) | system=store db:text attempts:number error:text elapsed:duration remaining:duration',
  'DEBUG no compaction | system=store db:text level:number path:text',
  'DEBUG sync: no database found | system=store db:text',
];
