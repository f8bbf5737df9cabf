/**
 * What is known of level 0 of a replica, and by what: a file that this process created there, or one found there that is
 * the local one. Where a replica says that it ends is no evidence.
 */
import { isLtxError, verifyLtx } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Op, ReplicaClient } from '../client/contract.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { conflictError, Level0Writer } from './level0-writer.ts';
import type { Level0File } from './level0-writer.ts';
import { remotePosition } from './remote-position.ts';
import type { ReplicaEnds } from './remote-position.ts';
import type { ReplicaDb } from './replica-db.ts';
import { compareHistory } from './same-history.ts';

/** For so long what was seen on the replica is believed. Level 0 keeps files for minutes. */
const TRUSTED_MS = 5000;

export interface EvidenceParts {
  readonly client: ReplicaClient;
  readonly db: ReplicaDb;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ask: (options: Op) => Promise<ReplicaEnds>;
  /** The last file of ours is gone, or damaged, and nothing came after it. */
  readonly onCut: () => void;
}

export class Evidence {
  readonly #parts: EvidenceParts;
  readonly #writer: Level0Writer;
  #proven: TXID = 0n;
  /** When the last file was created, or seen, by the clock that suspended machines stop, and by the one that people set. */
  #seenAt: { readonly now: number; readonly monotonic: number } | undefined;

  constructor(parts: EvidenceParts) {
    this.#parts = parts;
    this.#writer = new Level0Writer(parts.client, parts.logger);
  }

  /** Up to here the replica holds what this database wrote. */
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
    this.#seenAt = this.#now;
  }

  /** Rejects with `REPLICA_CONFLICT` if another file of this name is there. */
  async create(file: Level0File, options: Op): Promise<void> {
    await this.#writer.create(file, options);
    if (this.#proven === 0n || this.#isFresh) return;
    // It took so long that another process may have used, and freed, this name meanwhile, and gone on behind it.
    const { max } = await this.#parts.ask(options);
    if (max > file.txid) throw conflictError(max);
  }

  /**
   * Where the replica ends, after a failure that left this open. Beyond what is proven there is one file of ours at the
   * most, whose answer was lost; anything else is another's.
   */
  async askPosition(target: TXID, options: Op): Promise<TXID> {
    const found = await remotePosition(this.#parts.client, target, options);
    if (found <= this.#proven) return found;
    if (found > target) throw conflictError(found);
    const compared = await this.#compare(found, options);
    if (compared === 'other') throw conflictError(found);
    if (compared === 'same') this.prove(found);
    if (compared === 'damaged') this.#parts.onCut();
    return found;
  }

  /**
   * The name behind our last file may be free because another process used it, and has deleted the file since: we may have
   * been suspended for so long. Of level 0 the newest file is never deleted, so ours is looked for before anything is
   * created, unless that was done a moment ago.
   */
  async requireNewest(options: Op): Promise<void> {
    const txid = this.#proven;
    if (txid === 0n || this.#isFresh) return;
    const { ask, onCut } = this.#parts;
    const compared = await this.#compare(txid, options);
    if (compared === 'other') throw conflictError(txid);
    if (compared === 'damaged') onCut();
    if (compared === 'unknown') {
      const { max } = await ask(options);
      if (max > txid) throw conflictError(max);
      if (max < txid) onCut();
    }
    this.#seenAt = this.#now;
  }

  /** Nothing is on the replica beyond what is proven. Only where nothing is being uploaded. */
  async requireAlone(options: Op): Promise<void> {
    const { max } = await this.#parts.ask(options);
    if (this.#proven > 0n && max > this.#proven) throw conflictError(max);
  }

  /** A file that is not the local one, and not whole either, is no sign of another writer: the storage spoiled it. */
  async #compare(txid: TXID, options: Op): Promise<Awaited<ReturnType<typeof compareHistory>> | 'damaged'> {
    const { client, db } = this.#parts;
    const compared = await compareHistory(client, { path: db.localLtx(0).path(txid, txid), txid }, options);
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

  get #now(): { readonly now: number; readonly monotonic: number } {
    const { clock } = this.#parts;
    return { now: clock.now(), monotonic: clock.monotonic() };
  }

  get #isFresh(): boolean {
    const seenAt = this.#seenAt;
    if (seenAt === undefined) return false;
    const { now, monotonic } = this.#now;
    return monotonic - seenAt.monotonic < TRUSTED_MS && Math.abs(now - seenAt.now) < TRUSTED_MS;
  }
}

export function warnOfCut(logger: Logger): void {
  const what = 'files of the replica were deleted by another program, taking a snapshot';
  logger.warn(`${what}; nothing counts as replicated until it is there`);
}
