/** The state of a daemon's databases at one point in time, for the control socket, metrics and status pages. */
import type { DbStatus, LeaseStatus, StoredReplicaCounts, TXID } from '@litestream/core';

export type DatabaseState = 'replicating' | 'stopped';

export interface ReplicaReport {
  /** `file`, `s3`, … */
  readonly type: string;
  /** Name for messages, without credentials. */
  readonly text: string;
  /** The last transaction that the replica is known to have. */
  readonly txid: TXID;
  /** When the replica was last known to have all commits. */
  readonly lastSyncAt: Date | undefined;
  /** The error of the last attempt; undefined if it succeeded. */
  readonly lastError: unknown;
  /** Counts of the store's work on the replica. */
  readonly counts: StoredReplicaCounts;
  /** Undefined if the replica has no lease. */
  readonly lease: LeaseStatus | undefined;
}

/** Whether another process holds a lease that this database waits for. */
export function isWaitingForLease({ replicas }: Pick<DatabaseReport, 'replicas'>): boolean {
  return replicas.some(({ lease }) => lease?.state === 'waiting');
}

export interface DatabaseReport {
  readonly path: string;
  readonly state: DatabaseState;
  /** The last transaction in the local files. */
  readonly txid: TXID;
  /** Undefined while it is stopped. */
  readonly db: DbStatus | undefined;
  readonly replicas: readonly ReplicaReport[];
  /** When all replicas last had all commits; undefined if one of them never did. */
  readonly lastSyncAt: Date | undefined;
  /** The error that blocks replication, if there is one. */
  readonly lastError: unknown;
}
