/**
 * What is known of level 0 of a replica, and the evidence: a file that this process created there, or one found there
 * that equals the local one. The end of a listing alone is no evidence.
 */
import { formatTxid, isLtxError, verifyLtx } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Op, ReplicaClient } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import { LitestreamError } from '../util/error.ts';
import type { ReplicaFence } from './position/fence.ts';
import type { Logger } from '../util/logger.ts';
import { conflictError, Level0Writer, vanished } from './upload/level0-writer.ts';
import type { Level0File } from './upload/level0-writer.ts';
import { isRecent, instantOf } from './position/instant.ts';
import type { Instant } from './position/instant.ts';
import { remotePosition } from './position/remote-position.ts';
import type { AskedEnds } from './position/remote-position.ts';
import type { ReplicaDb } from './position/replica-db.ts';
import { compareTimeline } from './join/same-timeline.ts';

export interface EvidenceParts {
  readonly client: ReplicaClient;
  readonly db: ReplicaDb;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ask: (options: Op) => Promise<AskedEnds>;
  readonly fence?: ReplicaFence | undefined;
  /** Our last file is gone or damaged, and no file follows it. */
  readonly onCut: () => void;
}

export class Evidence {
  readonly #parts: EvidenceParts;
  readonly #writer: Level0Writer;
  #proven: TXID = 0n;
  /**
   * The end of the replica was seen, or created, at this time or later. Taken before the request, since the process may
   * be suspended at any point after it.
   */
  #seenAt: Instant | undefined;

  constructor(parts: EvidenceParts) {
    this.#parts = parts;
    this.#writer = new Level0Writer(parts.client, parts.logger);
  }

  /** The replica holds what this database wrote up to this TXID. */
  get proven(): TXID {
    return this.#proven;
  }

  forget(): void {
    this.#proven = 0n;
    this.#seenAt = undefined;
  }

  /** The replica holds the database's own file of this transaction, or a snapshot in its place. */
  prove(txid: TXID): void {
    if (txid > this.#proven) this.#proven = txid;
  }

  /** Call it before a transaction is acknowledged. With a lease, resolves once the lease states that some were. */
  async acknowledge(txid: TXID, options: Op): Promise<void> {
    await this.#parts.fence?.acknowledge(txid, options);
  }

  /** The end of the replica was requested at `askedAt`; the next upload begins there. */
  seen(askedAt: Instant): void {
    this.#seenAt = askedAt;
  }

  /** Rejects with `REPLICA_CONFLICT` if another file of this name exists, or existed since the end of the replica was seen. */
  async create(file: Level0File, options: Op): Promise<void> {
    const { ask, clock } = this.#parts;
    const startedAt = instantOf(clock);
    await this.#writer.create(file, options);
    this.#parts.fence?.created();
    if (isRecent(this.#seenAt, clock)) {
      this.#seenAt = startedAt;
      return;
    }
    // In this time, another process can have used and freed this name, and written files after it.
    const { askedAt, max } = await ask(options);
    if (max > file.txid) throw conflictError(max);
    this.#seenAt = askedAt;
  }

  /**
   * Finds the end of the replica after a failure that left it unknown. Beyond what is proven there can be one file of
   * ours, whose answer was lost; any other file is of another process.
   */
  async askPosition(target: TXID, options: Op): Promise<TXID> {
    const askedAt = instantOf(this.#parts.clock);
    const found = await remotePosition(this.#parts.client, target, options);
    if (found <= this.#proven) return found;
    if (found > target) throw conflictError(found);
    const compared = await this.#compare(found, options);
    // A file that cannot be compared does not count as ours.
    if (compared === 'other' || compared === 'unknown') throw conflictError(found);
    // It was just listed. That does not show which process wrote it.
    if (compared === 'absent') throw vanished(found);
    if (compared === 'same') {
      this.prove(found);
      this.seen(askedAt);
    } else this.#parts.onCut();
    return found;
  }

  /**
   * The name behind our last file may be free because another process used it and has deleted the file since, if we
   * were suspended for long enough. The newest file of level 0 is never deleted, so this checks that ours is there
   * before anything is created, unless that was checked within the last seconds.
   */
  async requireNewest(options: Op): Promise<void> {
    const txid = this.#proven;
    const { ask, clock, onCut } = this.#parts;
    if (txid === 0n || isRecent(this.#seenAt, clock)) return;
    const askedAt = instantOf(clock);
    const compared = await this.#compare(txid, options);
    if (compared === 'other') throw conflictError(txid);
    if (compared === 'damaged') onCut();
    if (compared === 'unknown' || compared === 'absent') {
      const { max } = await ask(options);
      if (max > txid) throw conflictError(max);
      if (max < txid) onCut();
    }
    this.#seenAt = askedAt;
  }

  /** Rejects if the replica has files beyond what is proven. Call it only while nothing is being uploaded. */
  async requireAlone(options: Op): Promise<void> {
    const { max } = await this.#parts.ask(options);
    if (this.#proven > 0n && max > this.#proven) throw conflictError(max);
  }

  /** A file that differs from the local one and is damaged is no sign of another writer: the storage damaged it. */
  async #compare(txid: TXID, options: Op): Promise<Awaited<ReturnType<typeof compareTimeline>> | 'damaged'> {
    const { client, db } = this.#parts;
    const compared = await compareTimeline(client, { path: db.localLtx(0).path(txid, txid), txid }, options);
    return compared === 'other' && (await this.#isDamaged(txid, options)) ? 'damaged' : compared;
  }

  async #isDamaged(txid: TXID, options: Op): Promise<boolean> {
    try {
      await verifyLtx(await this.#parts.client.openLtxFile({ level: 0, minTxid: txid, maxTxid: txid }, options));
      return false;
    } catch (error) {
      if (!isLtxError(error)) throw error;
      return true;
    }
  }
}

/** An internal error. If it occurs, nothing is acknowledged. */
export function unprovenError(txid: TXID): LitestreamError {
  return new LitestreamError(`nothing proves that the replica holds TXID ${formatTxid(txid)} of this database`, {
    code: 'INTERNAL',
    operation: 'sync',
  });
}
