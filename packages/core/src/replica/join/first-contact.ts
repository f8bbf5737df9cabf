/**
 * First contact of a replica and a database: checks whether the replica holds the timeline of the database, and
 * replaces it by that of the database if not.
 */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Op, ReplicaClient } from '../../storage/contract/contract.ts';
import type { Clock } from '../../util/clock.ts';
import { LitestreamError, hasCode } from '../../util/error.ts';
import type { ReplicaFence } from '../position/fence.ts';
import type { Logger } from '../../util/logger.ts';
import { claimBehind } from './claim.ts';
import { openLocalFile } from '../upload/local-file.ts';
import { conflictError } from '../upload/level0-writer.ts';
import type { Level0File } from '../upload/level0-writer.ts';
import { isRecent } from '../position/instant.ts';
import type { Instant } from '../position/instant.ts';
import { endOf } from '../position/remote-position.ts';
import type { AskedEnds } from '../position/remote-position.ts';
import type { ReplicaDb } from '../position/replica-db.ts';
import { compareTimeline } from './same-timeline.ts';
import { isWholeTransaction } from '../upload/whole-transaction.ts';

export interface FirstContactParts {
  readonly client: ReplicaClient;
  readonly db: ReplicaDb;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ask: (options: Op) => Promise<AskedEnds>;
  /** Creates a level-0 file. */
  readonly create: (file: Level0File, options: Op) => Promise<void>;
  /** Uploads the level-0 file of one transaction. Resolves to the position after it. */
  readonly upload: (txid: TXID, options: Op) => Promise<TXID>;
  /** Uploads a snapshot, and the level-0 files behind this position up to it. */
  readonly snapshot: (after: TXID, options: Op) => Promise<unknown>;
  /** Called with the first transaction that level 0 lacks; a warning was logged. */
  readonly onGap: (txid: TXID) => void;
  /** The lease, which may forbid that the replica gets another timeline. */
  readonly fence?: ReplicaFence | undefined;
}

/** The steps with which the replica gets another timeline. */
interface NewTimeline {
  /** End of the other timeline. */
  readonly end: TXID;
  /** Takes the name behind the end, which the other process would use next. */
  readonly claim: Level0File | undefined;
  /** The transaction that holds every page. */
  readonly whole: TXID;
  /** Position after that transaction, once it is on the replica. */
  reached: TXID | undefined;
}

/** Where uploads continue. The file that ends there is the database's own: it was compared, or just created. */
export interface ContactResult {
  readonly txid: TXID;
  /** When the replica was asked where it ends; undefined if this process has written there since. */
  readonly askedAt?: Instant;
}

export class FirstContact {
  readonly #parts: FirstContactParts;
  #ends: AskedEnds | undefined;
  #begun: NewTimeline | undefined;
  #theirs: TXID | undefined;

  constructor(parts: FirstContactParts) {
    this.#parts = parts;
  }

  /** The end of the replica in its last answer; undefined once something was written to it. */
  learn(ends: AskedEnds | undefined): void {
    this.#ends = ends;
  }

  /**
   * Forgets a new timeline that belongs to another database, or precedes files of another process. `theirs`: that
   * process has ended, its files reach this TXID, and ours go above it.
   */
  reset(theirs: TXID | undefined): void {
    this.#begun = undefined;
    this.#theirs = theirs;
  }

  /**
   * Resolves to the position to continue from. Rejects with `REPLICA_AHEAD` or `REPLICA_CONFLICT`. After a failure the next
   * call continues with the same whole transaction.
   */
  async meet(options: Op): Promise<ContactResult> {
    const met = await this.#meet(options);
    this.#parts.fence?.promoted();
    return met;
  }

  async #meet(options: Op): Promise<ContactResult> {
    const { ask, clock } = this.#parts;
    const learnt = this.#ends;
    this.#ends = undefined;
    // The answer may be old: a database can be open for long before its first commit.
    if (learnt === undefined || !isRecent(learnt.askedAt, clock))
      return await this.#meetAt(await ask(options), options);
    try {
      return await this.#meetAt(learnt, options);
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND')) throw error;
      // A file that was listed then is gone.
      return await this.#meetAt(await ask(options), options);
    }
  }

  async #meetAt(ends: AskedEnds, options: Op): Promise<ContactResult> {
    const { db } = this.#parts;
    const begun = this.#begun;
    // If there is a file beyond that, another process wrote it.
    if (begun !== undefined && endOf(ends) <= (begun.reached ?? begun.whole))
      return await this.#completeNewTimeline(begun, options);
    this.#begun = undefined;
    const { baseline, position } = db;
    // The other process has not ended.
    if (this.#theirs !== undefined && ends.max > this.#theirs) throw conflictError(ends.max);
    if (ends.max > position.txid) {
      if (this.#theirs === undefined) throw aheadError(ends.max, position.txid);
      return await this.#replaceTimeline(ends, options);
    }
    if (baseline !== undefined && ends.max > baseline) return await this.#replaceTimeline(ends, options);
    if (ends.level0 > 0n) return await this.#continueFrom(ends, options);
    // Level 0 always keeps its last file: if only compacted files remain, there is nothing to compare.
    if (ends.compacted > 0n) return await this.#replaceUncomparable(ends, options);
    return { txid: 0n, askedAt: ends.askedAt };
  }

  async #replaceUncomparable(ends: AskedEnds, options: Op): Promise<ContactResult> {
    this.#warn('level 0 of the replica is gone, taking a snapshot', ends.max);
    return await this.#startFromSnapshot(ends, options);
  }

  /** The replica ends with other transactions than the database's, under the same TXIDs. */
  async #replaceTimeline(ends: AskedEnds, options: Op): Promise<ContactResult> {
    const message = 'replica holds transactions that the database does not have, replacing them by a snapshot';
    this.#warn(message, ends.max);
    return await this.#startFromSnapshot(ends, options);
  }

  /**
   * A metadata folder that was copied from elsewhere may hold other transactions under the same TXIDs. Behind the
   * replica's files, they would restore a database that never existed; and if both end with the same TXID, nothing
   * would be uploaded at all.
   */
  async #continueFrom(ends: AskedEnds, options: Op): Promise<ContactResult> {
    const { client, db } = this.#parts;
    const txid = ends.level0;
    const path = db.localLtx(0).path(txid, txid);
    const found = await compareTimeline(client, { path, txid }, options);
    if (found === 'same') return { txid, askedAt: ends.askedAt };
    if (found === 'unknown' || found === 'absent') return await this.#continueUncompared(ends, options);
    this.#warn('local ltx files belong to another timeline than the replica, taking a snapshot', txid);
    return await this.#startFromSnapshot(ends, options);
  }

  /**
   * The local file is missing or damaged, and the one on the replica may be another database's. So the file after it
   * must hold every page. That is the next transaction, if a start found the file in this state, or else a new one.
   */
  async #continueUncompared(ends: AskedEnds, options: Op): Promise<ContactResult> {
    const { db } = this.#parts;
    const next = ends.level0 + 1n;
    this.#requirePromotable(ends);
    this.#warn('replica and database have no file in common to compare, taking a snapshot', ends.level0);
    const isWhole = ends.level0 === ends.max && (await isWholeTransaction(db.localLtx(0).path(next, next), next));
    if (!isWhole) return await this.#startFromSnapshot(ends, options);
    this.#begun = { end: ends.level0, claim: undefined, whole: next, reached: undefined };
    return await this.#completeNewTimeline(this.#begun, options);
  }

  #warn(message: string, end: TXID): void {
    const { db, logger } = this.#parts;
    logger.warn(message, { 'txid.replica': formatTxid(end), 'txid.db': formatTxid(db.position.txid) });
  }

  /**
   * From the current position on, the replica gets the transactions of the database. First comes a level-0 file with
   * every page: it can directly follow the other timeline's last file, and be merged with it, without a page of that
   * file remaining. If this process ends then, the next one finds that file, and a gap before it unless it directly
   * follows.
   */
  async #startFromSnapshot(ends: AskedEnds, options: Op): Promise<ContactResult> {
    this.#requirePromotable(ends);
    const { max, newest } = ends;
    const { db, client, onGap } = this.#parts;
    const { txid } = await db.syncWhole('replica holds another timeline', { ...options, above: max });
    const leavesGap = newest !== undefined && txid > max + 1n;
    const claim = leavesGap
      ? await claimBehind(client, newest, { ...options, beforeMs: await this.#timeOf(txid) })
      : undefined;
    onGap((claim?.txid ?? max) + 1n);
    this.#begun = { end: max, claim, whole: txid, reached: undefined };
    return await this.#completeNewTimeline(this.#begun, options);
  }

  /** This process was already promoted after the files of another process, which has ended. */
  #requirePromotable({ max }: AskedEnds): void {
    if (this.#theirs === undefined) this.#parts.fence?.requirePromotable(max);
  }

  /** Time of a local transaction, in ms since 1970. */
  async #timeOf(txid: TXID): Promise<number> {
    const { leftOut } = this.#parts.db;
    if (leftOut?.txid === txid) return leftOut.timestampMs;
    const { timestamp } = await openLocalFile(this.#parts.db.localLtx(0).path(txid, txid), txid);
    return timestamp.getTime();
  }

  async #completeNewTimeline(begun: NewTimeline, options: Op): Promise<ContactResult> {
    const { create, db, snapshot, upload } = this.#parts;
    if (begun.reached === undefined) {
      if (begun.claim !== undefined) await create(begun.claim, options);
      begun.reached = await upload(begun.whole, options);
    }
    const local = db.localLtx(0);
    // Compaction would read these in place of the replica's own files of the same names.
    for (const file of local.list()) if (file.maxTxid <= begun.end) local.delete(file.minTxid, file.maxTxid);
    await snapshot(begun.reached, options);
    this.#begun = undefined;
    return { txid: begun.reached };
  }
}

export function aheadError(remote: TXID, local: TXID): LitestreamError {
  return new LitestreamError(
    `the replica is ahead of the database: it holds TXID ${formatTxid(remote)}, the database is at ${formatTxid(local)}`,
    {
      code: 'REPLICA_AHEAD',
      operation: 'sync',
      hint: 'Another process writes to this replica, or the database was replaced by an older copy. Nothing was overwritten. Stop the other process, then start replication again.',
    },
  );
}
