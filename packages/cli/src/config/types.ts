/** A config after defaults, inheritance and checks, as the commands use it. Times are in milliseconds. */
import type { LogLevel, LogType } from '../log/format.ts';

export interface Config {
  /** The config file, if there is one. */
  readonly path: string | undefined;
  readonly databases: readonly DatabaseConfig[];
  readonly logging: LoggingConfig;
  readonly plugins: readonly string[];
  readonly exec: string | undefined;
  /** Whether the program of `exec` gets the credentials of the environment, too. */
  readonly execCredentials: boolean;
  /** `host:port` of the metrics server. */
  readonly addr: string | undefined;
  readonly addrToken: string | undefined;
  /** Host names that the server answers to, in addition to its own. */
  readonly addrHosts: readonly string[];
  /** `host:port`, or `unix:` and a path. */
  readonly mcpAddr: string | undefined;
  readonly mcpToken: string | undefined;
  /** Absolute path. */
  readonly mcpOutputDir: string | undefined;
  readonly socket: SocketConfig;
  /** Intervals of levels 1, 2, …. */
  readonly levels: readonly { readonly intervalMs: number }[];
  readonly snapshot: { readonly intervalMs: number; readonly retentionMs: number };
  readonly validationIntervalMs: number | undefined;
  /** Undefined: no restore drills. */
  readonly drillIntervalMs: number | undefined;
  readonly l0RetentionMs: number;
  readonly l0RetentionCheckIntervalMs: number;
  readonly verifyCompaction: boolean;
  readonly retentionEnabled: boolean;
  readonly heartbeat: { readonly url: string; readonly intervalMs: number } | undefined;
  /** Time limit of the whole shutdown. */
  readonly shutdownTimeoutMs: number;
  readonly shutdownSyncTimeoutMs: number;
  readonly shutdownSyncIntervalMs: number;
}

export interface SocketConfig {
  readonly enabled: boolean;
  readonly path: string;
  readonly permissions: number;
  /** Endpoints that get credentials of the environment even if only a request names them. */
  readonly endpoints: readonly string[];
  readonly heapSnapshots: boolean;
}

export interface LoggingConfig {
  readonly level: LogLevel;
  /** The level as the config writes it; the first log line repeats it. */
  readonly levelText: string;
  readonly type: LogType;
  readonly stderr: boolean;
  readonly source: boolean;
}

/** One database, or one folder of databases. Undefined means the default of core. */
export interface DatabaseConfig {
  /** Absolute path of the database; undefined for a folder. */
  readonly path: string | undefined;
  readonly directory: DirectoryConfig | undefined;
  readonly metaPath: string | undefined;
  readonly stagingPath: string | undefined;
  readonly monitorIntervalMs: number | undefined;
  readonly checkpointIntervalMs: number | undefined;
  readonly busyTimeoutMs: number | undefined;
  readonly minCheckpointPageCount: number | undefined;
  readonly truncatePageCount: number | undefined;
  readonly maxSyncWalBytes: number | undefined;
  readonly restoreIfDbNotExists: boolean;
  /** At least one. */
  readonly replicas: readonly ReplicaConfig[];
}

export interface DirectoryConfig {
  readonly path: string;
  readonly pattern: string;
  readonly recursive: boolean;
  readonly watch: boolean;
  readonly metaDir: string | undefined;
}

export interface LeaseConfig {
  /** Undefined: the default of core. */
  readonly ttlMs: number | undefined;
  readonly owner: string | undefined;
}

export interface ReplicaConfig {
  /** As written, or the scheme of the URL, or `file`. */
  readonly type: string;
  readonly url: string | undefined;
  readonly path: string | undefined;
  readonly syncIntervalMs: number;
  readonly maxSyncLtxFiles: number | undefined;
  /** Undefined: as `true`. */
  readonly autoRecover: boolean | undefined;
  /** Undefined: the replica is written without a lease. */
  readonly lease: LeaseConfig | undefined;
  /** All other keys for the backend's plugin, as the config has them, with the defaults from its top level. */
  readonly settings: Readonly<Record<string, unknown>>;
}
