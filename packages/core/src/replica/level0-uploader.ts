/** Sends the level-0 files of one database to its replica, in order, once it is certain that they continue what is there. */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import { LitestreamError } from '../util/error.ts';
import type { Logger } from '../util/logger.ts';
import type { Cut } from './cut.ts';
import { Evidence, unprovenError } from './evidence.ts';
import { FirstContact } from './join/first-contact.ts';
import type { ReplicaFence } from './position/fence.ts';
import type { RemoteEnds } from './position/remote-ends.ts';
import { maxTxidOfLevel } from './position/remote-position.ts';
import type { AskedEnds } from './position/remote-position.ts';
import type { ReplicaDb } from './position/replica-db.ts';
import { nextReplicaState, UNMET } from './position/replica-state.ts';
import type { ReplicaEvent, ReplicaState } from './position/replica-state.ts';
import { conflictError, type Level0File } from './upload/level0-writer.ts';
import { readLocalFile, type LostFiles } from './upload/local-file.ts';
import { replaceLost } from './upload/replace-lost.ts';

/** Uploads a snapshot, after `prove` has resolved for its transaction. */
export type TakeSnapshot = (options: Op, prove: (txid: TXID) => Promise<void>) => Promise<LtxFileInfo>;

export interface Level0UploaderParts {
  readonly client: ReplicaClient;
  readonly db: ReplicaDb;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ends: RemoteEnds;
  readonly fence: ReplicaFence | undefined;
  /** See `ReplicaOptions.autoRecover`. */
  readonly autoRecover: boolean;
  readonly takeSnapshot: TakeSnapshot;
  readonly cut: Cut;
  /** Another transaction than before is now the last one that is known to be on the replica. */
  readonly onConfirmed: () => void;
}

/** Nothing here runs at the same time as other work on the replica, but for a snapshot that is being read. */
export class Level0Uploader {
  readonly #parts: Level0UploaderParts;
  readonly #contact: FirstContact;
  readonly #evidence: Evidence;
  #state: ReplicaState = UNMET;
  /** Files up to here were written by an earlier process and are verified before they are sent, however big. */
  #unverified: TXID = 0n;
  /** First transactions of permanent gaps in level 0 that a warning has reported. There are few: each one is a disaster. */
  readonly #reportedGaps = new Set<TXID>();
  /** Why the last local file that was lost could not be read. */
  #lost: unknown;
  #isSending = false;

  constructor(parts: Level0UploaderParts) {
    const { client, db, clock, logger, ends, fence, cut, takeSnapshot } = parts;
    this.#parts = parts;
    const ask = (op: Op): Promise<AskedEnds> => ends.ask(op);
    const shared = { client, db, clock, logger, ask, fence };
    this.#evidence = new Evidence({ ...shared, onCut: () => cut.confirm() });
    this.#contact = new FirstContact({
      ...shared,
      create: (file, op) => this.#create(file, op),
      upload: async (txid, op) => (await this.#uploadNext(txid, op)) ?? this.#replaceLost(txid, op),
      snapshot: (after, op) => takeSnapshot(op, (txid) => this.#uploadThrough(after, txid, op, 'covered')),
      onGap: (txid) => this.#reportedGaps.add(txid),
    });
    this.begin();
  }

  /** Local files that are there by now are those of an earlier process. */
  begin(): void {
    this.#unverified = this.#parts.db.position.txid;
  }

  /** See `Replica.isKnown`. */
  get isKnown(): boolean {
    return this.#isMet && this.isSameDatabase;
  }

  get #isMet(): boolean {
    return this.#state.kind === 'met';
  }

  /** The database was not opened again since it was last looked at. */
  get isSameDatabase(): boolean {
    return this.#state.generation === this.#parts.db.generation;
  }

  /** See `Replica.position`; 0 also while files of the replica are gone. */
  get confirmed(): TXID {
    if (this.#state.kind !== 'met' || !this.isSameDatabase || this.#parts.cut.isOpen) return 0n;
    return this.#state.confirmed;
  }

  /** Is there something that is not on the replica, as far as is known? */
  get isBehind(): boolean {
    const { txid } = this.#parts.db.position;
    return txid !== 0n && (txid !== this.#state.remote || !this.isKnown || this.#parts.cut.isOpen);
  }

  /** See `ReplicaDb.awaitUploads`. */
  get filesInFlight(): number {
    return this.#isSending && this.isKnown ? Number(this.#parts.db.position.txid - (this.#state.remote ?? 0n)) : 0;
  }

  /** See `Replica.isGapReported`. */
  isGapReported(txid: TXID): boolean {
    return this.#reportedGaps.has(txid);
  }

  /** See `FirstContact.learn`. */
  learn(ends: AskedEnds | undefined): void {
    this.#contact.learn(ends);
  }

  /** Nothing is confirmed, and nothing written but what a new beginning takes, before this is done. */
  async meet(options: Op): Promise<void> {
    const { generation, baseline, position } = this.#parts.db;
    const seen = this.#state.generation;
    if (seen !== generation) {
      if (seen !== undefined) this.#unverified = baseline ?? position.txid;
      this.#dispatch({ kind: 'reopened', generation });
      this.#forgetParts();
    }
    if (this.#isMet || position.txid === 0n) return;
    const { askedAt, txid } = await this.#contact.meet(options);
    this.requireSameDatabase();
    this.#evidence.prove(txid);
    if (askedAt !== undefined) this.#evidence.seen(askedAt);
    this.#dispatch({ kind: 'met', remote: this.#evidence.proven });
  }

  /** Nothing is known of the replica: the two have to meet. `theirs`: see `FirstContact.reset`. */
  forget(theirs: TXID): void {
    this.#dispatch({ kind: 'forgotten' });
    this.#forgetParts(theirs);
  }

  #forgetParts(theirs?: TXID): void {
    this.#evidence.forget();
    this.#contact.reset(theirs);
  }

  /** How far the work on the replica came is not known. */
  failed(): void {
    this.#dispatch({ kind: 'failed' });
  }

  /** What was found out of the database, and its local files, may not hold for the one that took its place. */
  requireSameDatabase(): void {
    if (this.isSameDatabase) return;
    const message = 'the database was reopened while its replica was written to';
    throw new LitestreamError(message, { code: 'ABORTED', operation: 'sync', retryable: true });
  }

  /** First finds out whether a file whose answer was lost is ours. */
  async requireAlone(options: Op): Promise<void> {
    const target = this.#parts.db.position.txid;
    if (this.isKnown && target > 0n) await this.#findRemote(target, options);
    await this.#evidence.requireAlone(options);
  }

  /** Uploads what is missing up to `target`, once the two have met. */
  async uploadTo(target: TXID, options: Op, lost: LostFiles = 'replaced'): Promise<void> {
    const remote = await this.#findRemote(target, options);
    this.requireSameDatabase();
    if (remote < target) {
      const txids = { 'txid.replica': formatTxid(remote), 'txid.db': formatTxid(target) };
      this.#parts.logger.debug('replica sync', txids);
    }
    this.#isSending = true;
    try {
      await this.#uploadThrough(remote, target, options, lost);
    } finally {
      this.#isSending = false;
    }
  }

  /** Each upload ends with evidence; an answer of the replica is none. */
  requireProven(txid: TXID): void {
    if (this.#evidence.proven < txid) throw unprovenError(txid);
  }

  /** The replica holds what this database wrote, up to here. */
  async prove(txid: TXID, options: Op): Promise<void> {
    await this.#evidence.acknowledge(txid, options);
    this.#dispatch({ kind: 'reached', txid });
    this.#evidence.prove(txid);
    // Until database and replica have been compared, the restart is not complete.
    if (this.#state.kind !== 'met' || this.#state.confirmed === txid) return;
    this.#dispatch({ kind: 'confirmed', txid });
    this.#parts.onConfirmed();
  }

  async #findRemote(target: TXID, options: Op): Promise<TXID> {
    const { remote } = this.#state;
    if (remote !== undefined) return remote;
    const txid = await this.#evidence.askPosition(target, options);
    this.#dispatch({ kind: 'reached', txid });
    return txid;
  }

  /** Uploads what comes after `from`, up to `target`, or to the first file that is lost where a snapshot is to cover it. */
  async #uploadThrough(from: TXID, target: TXID, options: Op, lost: LostFiles): Promise<void> {
    this.#dispatch({ kind: 'reached', txid: from });
    if (this.#isMet && from <= this.#evidence.proven) await this.prove(from, options);
    let remote = from;
    while (remote < target) {
      options.signal?.throwIfAborted();
      // Before each file: this process may be suspended in the middle of a backlog.
      if (remote === this.#evidence.proven) await this.#evidence.requireNewest(options);
      const next = remote + 1n;
      const reached = await this.#uploadNext(next, options);
      if (reached === undefined && lost === 'covered') return;
      remote = reached ?? (await this.#replaceLost(next, options));
      await this.prove(remote, options);
    }
  }

  /** Returns the position after it; undefined if the file is lost, and no other stands in its place on the replica. */
  async #uploadNext(txid: TXID, options: Op): Promise<TXID | undefined> {
    const { client, db } = this.#parts;
    const path = db.localLtx(0).path(txid, txid);
    const local = await readLocalFile(path, txid, { verified: txid <= this.#unverified });
    if ('lost' in local) {
      // What cannot be compared with the file that is lost is not taken for it.
      if ((await maxTxidOfLevel(client, 0, { ...options, seek: txid })) > 0n) throw conflictError(txid);
      this.#lost = local.lost;
      return undefined;
    }
    this.requireSameDatabase();
    const { body, timestamp } = local;
    await this.#create({ txid, timestamp, body }, options);
    this.requireSameDatabase();
    return txid;
  }

  #create(file: Level0File, options: Op): Promise<void> {
    return this.#parts.ends.writing(() => this.#evidence.create(file, options));
  }

  async #replaceLost(txid: TXID, options: Op): Promise<TXID> {
    const { client, db, logger, autoRecover, takeSnapshot } = this.#parts;
    const parts = {
      client,
      db,
      logger,
      autoRecover,
      requireSameDatabase: () => this.requireSameDatabase(),
      onGap: (from: TXID) => this.#reportedGaps.add(from),
      takeSnapshot: (op: Op) => takeSnapshot(op, async () => undefined),
    };
    return await replaceLost(parts, txid, this.#lost, options);
  }

  #dispatch(event: ReplicaEvent): void {
    this.#state = nextReplicaState(this.#state, event);
  }
}
