/** Types of known keys. Without them, YAML would read `access-key-id: 0123` as a number. */

/** Keys whose values are true or false. YAML 1.1 also has `yes`, `on` and others. */
export const BOOLEAN_KEYS: ReadonlySet<string> = new Set([
  'enabled',
  'recursive',
  'watch',
  'verify-compaction',
  'restore-if-db-not-exists',
  'stderr',
  'source',
  'auto-recover',
  'lease',
  'force-path-style',
  'sign-payload',
  'sign-accept-encoding',
  'require-content-md5',
  'put-object-content-md5',
  'skip-verify',
  'concurrent-writes',
  'tls',
  'heap-snapshots',
  'exec-credentials',
]);

/** Keys whose values are whole numbers. */
export const INTEGER_KEYS: ReadonlySet<string> = new Set([
  'permissions',
  'min-checkpoint-page-count',
  'truncate-page-n',
  'max-sync-wal-bytes',
  'max-sync-ltx-files',
  'concurrency',
  'max-reconnects',
]);
