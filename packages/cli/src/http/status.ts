/** The content of the status page as JSON, without secrets. */
import type { DrillStatus, LeaseStatus, LtxFileInfo } from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import { describeError } from '../util/describe-error.ts';
import type { Daemon } from '../daemon/daemon.ts';
import { isWaitingForLease } from '../daemon/services/report.ts';
import type { DatabaseReport } from '../daemon/services/report.ts';
import { redact } from '../util/secrets.ts';
import { version } from '../util/version.ts';
import { lagSeconds } from './metrics.ts';

export function processStatus({ startedAt }: Daemon): object {
  return { version: version(), pid: process.pid, started_at: startedAt.toISOString(), now: new Date().toISOString() };
}

export function databaseStatus(report: DatabaseReport): object {
  const { path, txid, db, replicas, lastSyncAt, lastError } = report;
  return {
    path,
    state: stateOf(report),
    waiting_for: db?.waitingFor ?? null,
    txid: formatTxid(txid),
    page_size: db?.pageSize ?? null,
    wal_size: db?.walSize ?? null,
    lag_seconds: lagSeconds(report) ?? null,
    last_sync_at: lastSyncAt?.toISOString() ?? null,
    proven_txid: db?.proof === undefined ? null : formatTxid(db.proof.txid),
    proven_at: db?.proof?.at.toISOString() ?? null,
    error: textOf(lastError),
    replicas: replicas.map((replica) => ({
      type: replica.type,
      url: redact(replica.text),
      txid: formatTxid(replica.txid),
      behind: Number(txid - replica.txid),
      last_sync_at: replica.lastSyncAt?.toISOString() ?? null,
      error: textOf(replica.lastError),
      compactions: replica.counts.compactions,
      snapshots: replica.counts.snapshots,
      lease: leaseStatus(replica.lease),
      drill: drillStatus(replica.counts.drill),
    })),
  };
}

/**
 * `standby`: another process replicates the database: one on this machine, or one on any machine that holds the lease of a
 * replica.
 */
function stateOf(report: DatabaseReport): string {
  if (report.state === 'stopped') return 'stopped';
  return isWaitingForLease(report) ? 'standby' : (report.db?.state ?? 'closed');
}

function leaseStatus(status: LeaseStatus | undefined): object | null {
  if (status === undefined) return null;
  const { state, owner, lease } = status;
  return {
    state,
    holder: state === 'waiting' ? (lease?.owner ?? null) : owner,
    generation: lease?.generation ?? null,
    since: lease?.acquiredAt?.toISOString() ?? null,
    expires_at: lease?.expiresAt.toISOString() ?? null,
    acknowledged_txid: lease?.acknowledgedTxid === undefined ? null : formatTxid(lease.acknowledgedTxid),
  };
}

function drillStatus(status: DrillStatus | undefined): object | null {
  if (status === undefined) return null;
  const { result, succeededAt, error } = status;
  return {
    ok: error === undefined,
    succeeded_at: succeededAt?.toISOString() ?? null,
    txid: result === undefined ? null : formatTxid(result.txid),
    proven: result?.isProven ?? null,
    duration_seconds: result === undefined ? null : result.durationMs / 1000,
    error: textOf(error),
  };
}

export function fileStatus({ minTxid, maxTxid, size, timestamp, createdAt }: LtxFileInfo): object {
  return {
    min_txid: formatTxid(minTxid),
    max_txid: formatTxid(maxTxid),
    size,
    timestamp: timestamp.toISOString(),
    ...(createdAt === undefined ? {} : { created_at: createdAt.toISOString() }),
  };
}

function textOf(error: unknown): string | null {
  return error === undefined ? null : describeError(error);
}
