/** Turns the content of a config file into a `Config`: fills in defaults, inherits settings, makes paths absolute. */
import { DEFAULTS } from '@litestream/core';
import { TOKEN_LENGTH_MIN } from './access.ts';
import { LOG_TYPES } from '../log/format.ts';
import { parseLogLevel } from '../log/logger.ts';
import { isSecretKey, registerSecret, registerUrlSecrets } from '../util/secrets.ts';
import { expandPath } from './paths.ts';
import { replicaType } from './replica-type.ts';
import { replicaSettings } from './schema/schema.ts';
import type { RawConfig, RawDatabase, RawReplica } from './schema/schema.ts';
import { shutdownTimeout, DEFAULT_SHUTDOWN_TIMEOUT_MS } from './notices.ts';
import type { Config, DatabaseConfig, LeaseConfig, LoggingConfig, ReplicaConfig } from './types.ts';
import { isRecord } from './schema/unknown-keys.ts';
import { invalid, replicasOf } from './validate.ts';
import type { Where } from './validate.ts';

export const DEFAULT_LOGGING: LoggingConfig = {
  level: 'info',
  levelText: '',
  type: 'text',
  stderr: false,
  source: false,
};

/** @param plain The file's content before the schema converts units, as plugins get it. */
export function normaliseConfig(raw: RawConfig, plain: unknown, path: string | undefined, where: Where): Config {
  const databaseSnapshot = (key: 'interval' | 'retention'): number | undefined =>
    raw.dbs?.find((database) => database.snapshot?.[key] !== undefined)?.snapshot?.[key];
  const heartbeatUrl = raw['heartbeat-url'] ?? '';
  registerHeartbeat(heartbeatUrl);
  const plainDatabases = isRecord(plain) && Array.isArray(plain['dbs']) ? plain['dbs'] : [];
  return {
    path,
    databases: (raw.dbs ?? []).map((database, index) =>
      normaliseDatabase(database, raw, plainDatabases[index], plain, ['dbs', index]),
    ),
    logging: normaliseLogging(raw.logging, where),
    plugins: raw.plugins ?? [],
    exec: nonEmpty(raw.exec),
    execCredentials: raw['exec-credentials'] ?? false,
    addr: nonEmpty(raw.addr),
    addrToken: tokenOf(raw, 'addr-token', where),
    addrHosts: raw['addr-hosts'] ?? [],
    mcpAddr: nonEmpty(raw['mcp-addr']),
    mcpToken: tokenOf(raw, 'mcp-token', where),
    mcpOutputDir: raw['mcp-output-dir'] ? expandPath(raw['mcp-output-dir']) : undefined,
    socket: {
      enabled: raw.socket?.enabled ?? false,
      path: nonEmpty(raw.socket?.path) ?? '/var/run/litestream.sock',
      permissions: raw.socket?.permissions ?? 0o600,
      endpoints: raw.socket?.endpoints ?? [],
      heapSnapshots: raw.socket?.['heap-snapshots'] ?? false,
    },
    levels: (raw.levels?.map(({ interval }) => interval) ?? DEFAULTS.levelIntervalsMs).map((intervalMs) => ({
      intervalMs,
    })),
    snapshot: {
      intervalMs: raw.snapshot?.interval ?? databaseSnapshot('interval') ?? DEFAULTS.snapshotIntervalMs,
      retentionMs: raw.snapshot?.retention ?? databaseSnapshot('retention') ?? DEFAULTS.snapshotRetentionMs,
    },
    validationIntervalMs: raw.validation?.interval,
    drillIntervalMs: raw.drill?.interval,
    l0RetentionMs: raw['l0-retention'] ?? DEFAULTS.level0RetentionMs,
    l0RetentionCheckIntervalMs: raw['l0-retention-check-interval'] ?? DEFAULTS.level0CheckIntervalMs,
    verifyCompaction: raw['verify-compaction'] ?? DEFAULTS.verifyCompaction,
    retentionEnabled: raw.retention?.enabled ?? DEFAULTS.retentionEnabled,
    heartbeat:
      heartbeatUrl === '' ? undefined : { url: heartbeatUrl, intervalMs: raw['heartbeat-interval'] ?? 300_000 },
    shutdownTimeoutMs: shutdownTimeout(raw['shutdown-timeout']) ?? DEFAULT_SHUTDOWN_TIMEOUT_MS,
    shutdownSyncTimeoutMs: raw['shutdown-sync-timeout'] ?? DEFAULTS.shutdownSyncTimeoutMs,
    shutdownSyncIntervalMs: raw['shutdown-sync-interval'] ?? DEFAULTS.shutdownSyncIntervalMs,
  };
}

/** The part after the host is often the secret key of the service. */
function registerHeartbeat(text: string): void {
  const url = URL.parse(text);
  if (url === null) return;
  registerUrlSecrets(text);
  // A short path is an ordinary word, such as /ping.
  for (const part of [url.pathname.slice(1), url.search.slice(1)]) if (part.length >= 12) registerSecret(part);
}

function normaliseDatabase(
  raw: RawDatabase,
  config: RawConfig,
  plain: unknown,
  plainConfig: unknown,
  path: readonly PropertyKey[],
): DatabaseConfig {
  const plainReplicas = plainReplicasOf(plain);
  return {
    path: raw.path === undefined || raw.path === '' ? undefined : expandPath(raw.path),
    directory:
      raw.dir === undefined || raw.dir === ''
        ? undefined
        : {
            path: expandPath(raw.dir),
            pattern: raw.pattern ?? '',
            recursive: raw.recursive ?? false,
            watch: raw.watch ?? false,
            metaDir: raw['meta-dir'] === undefined ? undefined : expandPath(raw['meta-dir']),
          },
    metaPath: raw['meta-path'] === undefined ? undefined : expandPath(raw['meta-path']),
    stagingPath: raw['staging-path'] === undefined ? undefined : expandPath(raw['staging-path']),
    monitorIntervalMs: raw['monitor-interval'],
    checkpointIntervalMs: raw['checkpoint-interval'],
    busyTimeoutMs: raw['busy-timeout'],
    minCheckpointPageCount: raw['min-checkpoint-page-count'],
    truncatePageCount: raw['truncate-page-n'],
    maxSyncWalBytes: raw['max-sync-wal-bytes'],
    restoreIfDbNotExists: raw['restore-if-db-not-exists'] ?? false,
    replicas: replicasOf(raw, path).map(([replica], index) =>
      normaliseReplica(replica, config, plainReplicas[index], plainConfig),
    ),
  };
}

function plainReplicasOf(database: unknown): unknown[] {
  if (!isRecord(database)) return [];
  if (database['replica'] !== undefined) return [database['replica']];
  return Array.isArray(database['replicas']) ? database['replicas'] : [];
}

/** Keys that core reads. All others belong to the plugin of the replica. */
const OWN_KEYS = new Set([
  'type',
  'name',
  'url',
  'path',
  'sync-interval',
  'validation-interval',
  'max-sync-ltx-files',
  'auto-recover',
  'lease',
  'age',
]);

function normaliseReplica(raw: RawReplica, config: RawConfig, plain: unknown, plainConfig: unknown): ReplicaConfig {
  const url = nonEmpty(raw.url);
  const settings: Record<string, unknown> = {};
  for (const source of [inherited(plainConfig, raw), plain]) {
    if (!isRecord(source)) continue;
    for (const [key, value] of Object.entries(source)) {
      if (OWN_KEYS.has(key) || value === '') continue;
      settings[key] = value;
      if (isSecretKey(key)) registerSecret(value);
      if (typeof value === 'string') registerUrlSecrets(value);
    }
  }
  if (url !== undefined) registerUrlSecrets(url);
  return {
    type: replicaType(nonEmpty(raw.type), url),
    url,
    path: nonEmpty(raw.path),
    syncIntervalMs: raw['sync-interval'] ?? config['sync-interval'] ?? DEFAULTS.syncIntervalMs,
    maxSyncLtxFiles: raw['max-sync-ltx-files'] ?? config['max-sync-ltx-files'],
    autoRecover: raw['auto-recover'] ?? config['auto-recover'],
    lease: leaseOf(raw.lease ?? config.lease),
    settings,
  };
}

function leaseOf(lease: RawReplica['lease']): LeaseConfig | undefined {
  if (lease === undefined || lease === false) return undefined;
  if (lease === true) return { ttlMs: undefined, owner: undefined };
  return { ttlMs: lease.ttl, owner: nonEmpty(lease.owner) };
}

/** Settings at the top level are defaults; with a URL, `bucket` and `host` come from it. */
function inherited(plainConfig: unknown, replica: RawReplica): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  if (!isRecord(plainConfig)) return settings;
  for (const key of Object.keys(replicaSettings)) {
    if (replica.url !== undefined && (key === 'bucket' || key === 'host')) continue;
    if (plainConfig[key] !== undefined) settings[key] = plainConfig[key];
  }
  return settings;
}

function normaliseLogging(raw: RawConfig['logging'], where: Where): LoggingConfig {
  const levelText = process.env['LOG_LEVEL'] || raw?.level || '';
  const level = levelText === '' ? 'info' : parseLogLevel(levelText);
  if (level === undefined) {
    const message = `unknown log level "${levelText}": use trace, debug, info, warn or error`;
    // The variable overrides the file, so the mistake is in the variable.
    throw invalid(message, ['logging', 'level'], process.env['LOG_LEVEL'] ? () => 'LOG_LEVEL' : where);
  }
  const type = LOG_TYPES.find((name) => name === (raw?.type || 'text'));
  if (type === undefined) {
    throw invalid(`unknown log type "${raw?.type ?? ''}": use text, json or pretty`, ['logging', 'type'], where);
  }
  return { level, levelText, type, stderr: raw?.stderr ?? false, source: raw?.source ?? false };
}

function tokenOf(raw: RawConfig, key: 'addr-token' | 'mcp-token', where: Where): string | undefined {
  const token = raw[key];
  registerSecret(token);
  if (token === undefined) return undefined;
  if (token.length >= TOKEN_LENGTH_MIN) return token;
  throw invalid(
    `${key} is too short: it needs ${TOKEN_LENGTH_MIN} characters or more`,
    [key],
    where,
    'Make one with: openssl rand -hex 24',
  );
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
