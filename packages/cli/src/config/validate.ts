/** Ranges, and rules between keys. Messages begin with file, line and column, then use the words of Litestream (Go). */
import { LitestreamError, isLitestreamError } from '@litestream/core';
import { formatDuration } from '../units/duration.ts';
import { pathOfFileUrl } from './file-url.ts';
import { replicaType } from './replica-type.ts';
import type { RawConfig, RawDatabase, RawReplica } from './schema/schema.ts';
import { formatPath } from './schema/unknown-keys.ts';

/** Position of a path in the file: `file:line:column`. */
export type Where = (path: readonly PropertyKey[]) => string;

const HEARTBEAT_INTERVAL_MS_MIN = 60_000;

export function validateConfig(config: RawConfig, where: Where): void {
  const positive = (value: number | undefined, path: readonly PropertyKey[], name: string, label?: string): void => {
    if (value === undefined || value > 0) return;
    const field = label ?? formatPath(path);
    throw invalid(`${field}: ${name} must be greater than 0 (got ${formatDuration(value)})`, path, where);
  };

  positive(config.snapshot?.interval, ['snapshot', 'interval'], 'snapshot interval');
  positive(config.snapshot?.retention, ['snapshot', 'retention'], 'snapshot retention');
  const l0Retention = config['l0-retention'];
  if (l0Retention !== undefined && l0Retention < 0) {
    const path = ['l0-retention'];
    throw invalid(`l0-retention: l0 retention must not be negative (got ${formatDuration(l0Retention)})`, path, where);
  }
  positive(config['l0-retention-check-interval'], ['l0-retention-check-interval'], 'l0 retention check interval');
  const timeout = config['shutdown-sync-timeout'];
  if (timeout !== undefined && timeout < 0) {
    const message = `shutdown-sync-timeout: shutdown-sync-timeout must be >= 0 (got ${formatDuration(timeout)})`;
    throw invalid(message, ['shutdown-sync-timeout'], where);
  }
  positive(config['shutdown-sync-interval'], ['shutdown-sync-interval'], 'shutdown sync interval');
  positive(config['sync-interval'], ['sync-interval'], 'sync interval');
  validateLease(config.lease, ['lease'], where);
  for (const [index, level] of (config.levels ?? []).entries()) {
    positive(level.interval, ['levels', index, 'interval'], 'compaction interval');
  }
  validateHeartbeat(config, where);
  validateAddress(config, where);

  for (const [index, database] of (config.dbs ?? []).entries()) {
    const path = ['dbs', index];
    validateDatabase(database, index, where);
    const name = database.path ?? database.dir ?? '';
    positive(
      database.snapshot?.interval,
      [...path, 'snapshot', 'interval'],
      'snapshot interval',
      `dbs[${name}].snapshot.interval`,
    );
    positive(
      database.snapshot?.retention,
      [...path, 'snapshot', 'retention'],
      'snapshot retention',
      `dbs[${name}].snapshot.retention`,
    );
    for (const [replica, at, label] of replicasOf(database, path)) {
      positive(
        replica['sync-interval'],
        [...at, 'sync-interval'],
        'sync interval',
        `dbs[${name}].${label}.sync-interval`,
      );
      validateReplica(replica, at, where);
    }
  }
  validateSnapshots(config, where);
}

/** The replicas of a database with their paths in the config. */
export function replicasOf(
  database: RawDatabase,
  path: readonly PropertyKey[],
): (readonly [RawReplica, readonly PropertyKey[], string])[] {
  if (database.replica !== undefined) return [[database.replica, [...path, 'replica'], 'replica']];
  return (database.replicas ?? []).map((replica, index) => [
    replica,
    [...path, 'replicas', index],
    `replicas[${index}]`,
  ]);
}

function validateHeartbeat(config: RawConfig, where: Where): void {
  const url = config['heartbeat-url'];
  if (url !== undefined && url !== '' && !/^https?:\/\//.test(url)) {
    // The part after the host is often the secret key of the service.
    const [, scheme = '', host = '', rest = ''] = /^([a-z]+:\/\/)?(?:[^/]*@)?([^/]*)(.*)$/is.exec(url) ?? [];
    const isUnclear = rest.includes('@') || host.includes('%');
    const shown = `${scheme}${isUnclear ? '…' : `${host}${rest.length > 1 ? '/…' : rest}`}`;
    const message = `heartbeat-url: heartbeat URL must be a valid HTTP or HTTPS URL (got ${shown})`;
    throw invalid(message, ['heartbeat-url'], where);
  }
  const intervalMs = config['heartbeat-interval'];
  if (intervalMs !== undefined && intervalMs < HEARTBEAT_INTERVAL_MS_MIN) {
    const got = formatDuration(intervalMs);
    const message = `heartbeat-interval: heartbeat interval must be at least 1 minute (got ${got})`;
    throw invalid(message, ['heartbeat-interval'], where);
  }
}

function validateAddress(config: RawConfig, where: Where): void {
  if (config.addr !== undefined && config.addr !== '' && !/:\w+$/.test(config.addr)) {
    throw invalid(`must specify port for bind address: "${config.addr}"`, ['addr'], where);
  }
}

function validateDatabase(database: RawDatabase, index: number, where: Where): void {
  const path = ['dbs', index];
  const refuse = (message: string, key?: string): never => {
    throw invalid(`database config #${index + 1}: ${message}`, key === undefined ? path : [...path, key], where);
  };
  if (database.path && database.dir) refuse("cannot specify both 'path' and 'dir'", 'dir');
  if (!database.path && !database.dir) refuse("must specify either 'path' or 'dir'");
  if (database.dir && !database.pattern) refuse("'pattern' is required when using 'dir'", 'dir');
  if (database.watch === true && !database.dir) refuse("'watch' can only be enabled with a directory", 'watch');
  if (database['meta-dir'] !== undefined && !database.dir) {
    refuse("'meta-dir' can only be used with a directory", 'meta-dir');
  }
  if (database['meta-path'] !== undefined && database['meta-dir'] !== undefined) {
    refuse("cannot specify both 'meta-path' and 'meta-dir'", 'meta-dir');
  }
  if (database.replica !== undefined && (database.replicas?.length ?? 0) > 0) {
    refuse("cannot specify 'replica' and 'replicas' on a database", 'replicas');
  }
  if (database.replica === undefined && (database.replicas?.length ?? 0) === 0) {
    refuse(`must specify replica for database ${database.path ?? database.dir ?? ''}`);
  }
}

function validateReplica(replica: RawReplica, path: readonly PropertyKey[], where: Where): void {
  if (replica.path !== undefined && /^[a-z][a-z0-9+.-]*:\/\//i.test(replica.path)) {
    const shown = replica.path.replace(/\/\/[^/@]*@/, '//');
    throw invalid(
      `replica path cannot be a url, please use the 'url' field instead: ${shown}`,
      [...path, 'path'],
      where,
    );
  }
  validatePlace(replica, path, where);
  validateLease(replica.lease, [...path, 'lease'], where);
  if ((replica.age?.identities?.length ?? 0) > 0 || (replica.age?.recipients?.length ?? 0) > 0) {
    throw invalid(
      'age encryption is not currently supported: files would reach the replica unencrypted',
      [...path, 'age'],
      where,
      'Remove the age section and encrypt on the server side, or stay on Litestream 0.3.',
    );
  }
}

const LEASE_TTL_MS_MIN = 1000;

function validateLease(lease: RawReplica['lease'], path: readonly PropertyKey[], where: Where): void {
  const ttlMs = typeof lease === 'object' ? lease.ttl : undefined;
  if (ttlMs === undefined || ttlMs >= LEASE_TTL_MS_MIN) return;
  const at = [...path, 'ttl'];
  throw invalid(`${formatPath(at)}: the ttl of a lease must be at least 1s (got ${formatDuration(ttlMs)})`, at, where);
}

/** Keys that repeat a part of the URL, by type: a config must not set them beside a URL. */
const IN_URL: Readonly<Record<string, readonly ('path' | 'bucket' | 'host' | 'webdav-url')[]>> = {
  file: ['path'],
  s3: ['path', 'bucket'],
  gs: ['path', 'bucket'],
  abs: ['path', 'bucket'],
  oss: ['path', 'bucket'],
  sftp: ['path', 'host'],
  webdav: ['path', 'webdav-url'],
};

function readable(url: string, path: readonly PropertyKey[], where: Where): void {
  try {
    pathOfFileUrl(url);
  } catch (error) {
    if (!isLitestreamError(error)) throw error;
    throw invalid(error.message, path, where, error.hint);
  }
}

function validatePlace(replica: RawReplica, path: readonly PropertyKey[], where: Where): void {
  const type = replicaType(replica.type || undefined, replica.url || undefined).replace(/^webdavs$/, 'webdav');
  const told = (IN_URL[type] ?? []).find((key) => (replica[key] ?? '') !== '');
  if (replica.url && told !== undefined) {
    throw invalid(`cannot specify url & ${told} for ${type} replica`, [...path, told], where);
  }
  if (type === 'file' && replica.url) readable(replica.url, [...path, 'url'], where);
  // Without a path, the replica would be the working directory.
  if (type === 'file' && !replica.url && !replica.path) throw invalid('file replica path required', path, where);
}

/** All databases share one schedule of snapshots, so their settings must not differ. */
function validateSnapshots(config: RawConfig, where: Where): void {
  for (const [key, plural] of [
    ['interval', 'intervals'],
    ['retention', 'retentions'],
  ] as const) {
    let first: { name: string; value: number } | undefined;
    for (const [index, database] of (config.dbs ?? []).entries()) {
      const value = database.snapshot?.[key];
      if (value === undefined) continue;
      const name = database.path ?? database.dir ?? '';
      if (first !== undefined && first.value !== value) {
        const facts = `${first.name} has ${formatDuration(first.value)}, ${name} has ${formatDuration(value)}`;
        throw invalid(`conflicting database snapshot ${plural}: ${facts}`, ['dbs', index, 'snapshot', key], where);
      }
      first ??= { name, value };
    }
  }
}

export function invalid(message: string, path: readonly PropertyKey[], where: Where, hint?: string): LitestreamError {
  return new LitestreamError(`${where(path)}: ${message}`, { code: 'CONFIG_INVALID', hint });
}
