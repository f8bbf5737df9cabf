/** Requests and answers of the control socket: paths, bodies and field names are those of Litestream (Go). */
import type { TXID } from '@litestream/core';

export interface InfoResponse {
  readonly version: string;
  readonly pid: number;
  readonly uptime_seconds: number;
  readonly started_at: string;
  readonly database_count: number;
}

export interface DatabaseSummary {
  readonly path: string;
  /** `replicating`, `open` or `stopped`. */
  readonly status: string;
  /** RFC 3339; missing if the database was never fully replicated. */
  readonly last_sync_at?: string | undefined;
}

export interface ListResponse {
  readonly databases: readonly DatabaseSummary[];
}

export interface StateResponse {
  readonly status: string;
  readonly path: string;
  readonly txid: TXID;
}

export interface SyncResponse extends StateResponse {
  readonly replicated_txid: TXID;
}

export interface VerifyResponse {
  readonly path: string;
  readonly replicas: readonly VerifiedReplica[];
}

export interface VerifiedReplica {
  readonly replica: string;
  /** The live database has the checksum that the replica states. */
  readonly ok: boolean;
  readonly error?: string;
  readonly txid?: TXID;
  readonly page_count?: number;
  readonly repairs?: readonly ('pages' | 'snapshot')[];
  /** Faults of files that only restores to earlier states need. */
  readonly faults?: readonly string[];
}

export interface RegisterResponse {
  readonly status: string;
  readonly path: string;
}

/** `/debug/sync-status`, one database. Zero values are left out, as in Litestream (Go). */
export interface SyncDiagnostic {
  readonly path: string;
  readonly active: boolean;
  readonly operation?: string | undefined;
  readonly phase?: string | undefined;
  readonly started_at?: string | undefined;
  readonly updated_at?: string | undefined;
  readonly elapsed_seconds?: number | undefined;
  readonly txid?: TXID | undefined;
  readonly wal_size?: number | undefined;
  readonly last_synced_wal_offset?: number | undefined;
  readonly error?: string | undefined;
}

export const DEFAULT_SOCKET_PATH = '/var/run/litestream.sock';
