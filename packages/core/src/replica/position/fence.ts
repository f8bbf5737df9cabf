/** What a replica needs from its lease. */
import type { TXID } from '@litestream/ltx';
import type { Op } from '../../storage/contract/contract.ts';
import type { LitestreamError } from '../../util/error.ts';

export interface ReplicaFence {
  /** Resolves if this process holds the lease. Renews it first if necessary. Rejects with `LEASE_LOST`. */
  requireHeld(op?: Op): Promise<void>;
  /**
   * Renews the lease now: the store decides which process holds it, regardless of clocks. Rejects with `LEASE_LOST`.
   */
  verify(op?: Op): Promise<void>;
  /**
   * Resolves once the lease states that transactions of the replica were acknowledged, so that no process is promoted without
   * them. Call it before the first acknowledgement; `txid` is on the replica. Rejects with `LEASE_LOST`.
   */
  acknowledge(txid: TXID, op?: Op): Promise<void>;
  /**
   * This process created a level-0 file under its lease. The upload of an earlier holder that has not arrived yet is for this
   * name or one before it, so it is refused.
   */
  created(): void;
  /**
   * May a file of an earlier holder still arrive? Otherwise, a file of another process shows that two processes write to the
   * replica, regardless of the lease.
   */
  readonly mayMeetLateFile: boolean;
  /** Another process writes to the replica. This process never writes there again. Returns why, with `LEASE_LOST`. */
  lose(cause: LitestreamError): LitestreamError;
  /** Why this process can never write again; undefined while it may still write. */
  readonly error: LitestreamError | undefined;
  /**
   * The timeline of the replica, which ends at this TXID, would be replaced by that of the database. Throws
   * `PROMOTION_REFUSED`, and releases the lease, if an earlier holder may have acknowledged commits that would be lost.
   */
  requirePromotable(end: TXID): void;
  /** The database continues the timeline of the replica: from now on only this process writes there. */
  promoted(): void;
}
