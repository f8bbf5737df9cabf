/** SQLite's files beside a database. SQLite would apply them to any file with the database's name. */
export const SIDECAR_SUFFIXES: readonly string[] = ['-wal', '-shm', '-journal'];
