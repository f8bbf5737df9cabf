/** What a replica asks of the lease that it is written under. */
import type { TXID } from '@litestream/ltx';
import type { Op } from '../client/contract.ts';
import type { LitestreamError } from '../error.ts';

export interface ReplicaFence {
  /** Resolves if this process holds the lease, after a renewal if it is needed. Rejects with `LEASE_LOST`. */
  requireHeld(op?: Op): Promise<void>;
  /** Renews the lease now: the store decides whose it is, whatever the clocks say. Rejects with `LEASE_LOST`. */
  verify(op?: Op): Promise<void>;
  /** Why nothing is written by this process any more; undefined as long as that may change. */
  readonly error: LitestreamError | undefined;
  /**
   * The timeline of the replica, which ends at this TXID, would be replaced by that of the database. Throws
   * `PROMOTION_REFUSED`, and gives the lease up, if an earlier holder may have acknowledged what would be lost.
   */
  requirePromotable(end: TXID): void;
  /** The database goes on from what the replica holds: from now on this process alone decides. */
  promoted(): void;
}
