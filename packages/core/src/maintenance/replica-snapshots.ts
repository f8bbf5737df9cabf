import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op } from '../storage/contract/contract.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';
import type { Clock } from '../util/clock.ts';
import { hasCode } from '../util/error.ts';
import type { Logger } from '../util/logger.ts';
import type { NewestOfLevel } from '../compaction/newest-of-level.ts';
import { boundaryBefore } from '../compaction/compaction-levels.ts';
import type { LevelWork } from './level-work.ts';
import type { ReplicaUnderStore } from './stored-replica-options.ts';

export interface ReplicaSnapshotsParts {
  readonly replica: ReplicaUnderStore;
  readonly tops: NewestOfLevel;
  readonly work: LevelWork;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  /** Where log lines say that the database is. */
  readonly place: { readonly path?: string };
}

/** Takes the snapshots of one replica: at its interval, and at once where restores need one. */
export class ReplicaSnapshots {
  readonly #parts: ReplicaSnapshotsParts;
  /** Where the newest one ends; undefined if none is known. */
  #newest: TXID | undefined;
  /** One is due, whenever the last one was: restores behind a break need one that reaches this TXID. */
  #wantedFrom: TXID | undefined;
  #count = 0;

  constructor(parts: ReplicaSnapshotsParts) {
    this.#parts = parts;
  }

  /** Since the store got the replica. */
  get count(): number {
    return this.#count;
  }

  /** One is due at once, not at the next boundary: none is known, or restores behind a break need one. */
  get isLacking(): boolean {
    return this.#newest === undefined || this.#isOwed;
  }

  /** Is there, as far as is known, anything to take one of? */
  get isPending(): boolean {
    const { txid } = this.#parts.replica.position;
    return txid > 0n && (this.#isOwed || txid > (this.#newest ?? 0n));
  }

  get #isOwed(): boolean {
    return this.#wantedFrom !== undefined || this.#parts.replica.snapshotOwedFor !== undefined;
  }

  /** Restores need one that reaches this transaction. */
  want(from: TXID): void {
    if ((this.#newest ?? 0n) >= from) return;
    this.#wantedFrom = from;
  }

  /** See `StoredReplica.snapshotIfDue`. */
  async takeIfDue(op: Op): Promise<LtxFileInfo | undefined> {
    const { replica, tops, logger, place } = this.#parts;
    const newest = await tops.get(SNAPSHOT_LEVEL, op);
    this.#newest = newest?.maxTxid;
    const { txid } = replica.position;
    if (this.#wantedFrom !== undefined && newest !== undefined && newest.maxTxid >= this.#wantedFrom) {
      this.#wantedFrom = undefined;
    }
    if (txid === 0n) return undefined;
    if (newest !== undefined && newest.maxTxid >= txid && !this.#isOwed) return undefined;
    if (newest === undefined || this.#isOwed || !(await this.#isIntervalUsed(op))) return await this.take(op);
    logger.debug('no compaction', { level: SNAPSHOT_LEVEL, ...place });
    return undefined;
  }

  /** Was one taken since the last boundary? */
  async #isIntervalUsed(op: Op): Promise<boolean> {
    const { clock, intervalMs, work } = this.#parts;
    return await work.doneSince(boundaryBefore(clock.now(), intervalMs), SNAPSHOT_LEVEL, op);
  }

  /** Takes one now, even if nothing changed since the last one. Undefined if there is no database. */
  async take(op: Op): Promise<LtxFileInfo | undefined> {
    const file = await this.#fileOfSnapshot(op);
    if (file !== undefined) this.keep(file);
    return file;
  }

  /** This one is on the replica. */
  keep(file: LtxFileInfo): void {
    const { tops, work, logger } = this.#parts;
    tops.set(SNAPSHOT_LEVEL, file);
    work.written(SNAPSHOT_LEVEL);
    this.#newest = file.maxTxid;
    this.#wantedFrom = undefined;
    this.#count += 1;
    logger.info('snapshot complete', { txid: formatTxid(file.maxTxid), size: file.size });
  }

  /** Undefined if there is no database (any more): then there is nothing to take one of, and nothing went wrong. */
  async #fileOfSnapshot(op: Op): Promise<LtxFileInfo | undefined> {
    try {
      return await this.#parts.replica.snapshot(op);
    } catch (error) {
      const isGone =
        hasCode(error, 'DATABASE_MISSING') ||
        hasCode(error, 'DATABASE_NOT_READY') ||
        (hasCode(error, 'ABORTED') && op.signal?.aborted !== true);
      if (!isGone) throw error;
      this.#parts.logger.debug('no snapshot, the database is gone', { error });
      return undefined;
    }
  }
}
