import type { TXID } from '@litestream/ltx';
import type { Op } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import type { LeaseStatus } from './status.ts';

export interface LeaseOptions {
  /** How long the lease is valid after each renewal, 1 s at least. Default 30 s. */
  readonly ttlMs?: number | undefined;
  /** The name of this process in the lease. Default `<host>:<pid>`. */
  readonly owner?: string | undefined;
}

export interface LeaseHolderOptions extends LeaseOptions {
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  /** Called when the state changes; a renewal is not a change. Must not throw. */
  readonly onChange?: ((status: LeaseStatus) => void) | undefined;
}

export interface AcquireOptions extends Op {
  /** Rejects with `LEASE_HELD` after this time. Default: no limit. */
  readonly waitMs?: number | undefined;
}

/** The content of the lease when this process acquired it. */
export interface Inherited {
  /** Undefined if no earlier holder acknowledged anything, as far as is known. */
  readonly acknowledgedTxid: TXID | undefined;
  /** The earlier holder did not release the lease: one of its requests may still arrive. */
  readonly isUnclean: boolean;
}
