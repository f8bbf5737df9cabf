/** SQLite's files beside a database: it would apply them to whatever stands there under the name. */
export const SIDECAR_SUFFIXES: readonly string[] = ['-wal', '-shm', '-journal'];
