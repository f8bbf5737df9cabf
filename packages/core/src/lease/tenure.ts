import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LitestreamError } from '../util/error.ts';
import { BREAK_HINT, refusedError } from './errors.ts';
import type { Inherited } from './holder-options.ts';
import type { Lease } from './record.ts';

/** What this process found, and did, since it acquired the lease. Another acquisition begins another tenure. */
export class Tenure {
  readonly inherited: Inherited;
  /** The database holds everything that an earlier holder acknowledged. */
  isPromoted = false;
  /** A level-0 file was created under this lease. */
  hasCreated = false;
  /** The transaction that is on the replica, and about to be acknowledged. 0: none yet. */
  acknowledging: TXID = 0n;

  constructor(inherited: Inherited) {
    this.inherited = inherited;
  }

  /**
   * What the lease is to state. Never decreases: a database that is reopened acknowledges nothing at first. `acknowledged`: by
   * the replica; 0 for none.
   */
  acknowledgedTxid({ acknowledgedTxid: before }: Lease, acknowledged: TXID): TXID | undefined {
    const own = acknowledged || this.acknowledging;
    if (own === 0n || (before !== undefined && before > own)) return before;
    return own;
  }

  /** Why this database must not continue the replica, which ends at `end`, but differs from it; undefined if it may. */
  promotionError(end: TXID): LitestreamError | undefined {
    const { acknowledgedTxid } = this.inherited;
    if (this.isPromoted || acknowledgedTxid === undefined) return undefined;
    const message = `the database differs from the replica, which ends at TXID ${formatTxid(end)}, and an earlier holder of the lease acknowledged TXID ${formatTxid(acknowledgedTxid)}`;
    const hint = `Move the database away, and start with restore-if-db-not-exists: it is restored once the lease is held. ${BREAK_HINT}`;
    return refusedError(message, undefined, hint);
  }
}
