/** What is known of the databases of a daemon at one moment: for the control socket, metrics and status pages. */
import type { DbStatus, LeaseStatus, StoredReplicaCounts, TXID } from '@litestream/core';

export type DatabaseState = 'replicating' | 'stopped';

export interface ReplicaReport {
  /** `file`, `s3`, … */
  readonly type: string;
  /** How to name it, without credentials. */
  readonly text: string;
  /** The last transaction that is known to be there. */
  readonly txid: TXID;
  /** When everything that was committed was last known to be there. */
  readonly lastSyncAt: Date | undefined;
  /** What the last attempt failed with; undefined once one succeeded. */
  readonly lastError: unknown;
  /** What the store did for it. */
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
  /** When all replicas last had everything; undefined if one of them never did. */
  readonly lastSyncAt: Date | undefined;
  /** Why replication does not go on, if something is in its way. */
  readonly lastError: unknown;
}
