import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { raceAbort } from '../storage/client-kit/sdk-abort.ts';
import { systemClock } from '../util/clock.ts';
import type { Clock } from '../util/clock.ts';
import { Mutex } from '../util/mutex.ts';
import type { History, Position } from '../db/session/options.ts';
import { hasCode, LitestreamError } from '../util/error.ts';
import { silentLogger } from '../util/logger.ts';
import type { Logger } from '../util/logger.ts';
import { Conflict } from './conflict.ts';
import { Cut } from './cut.ts';
import { Evidence, unprovenError } from './evidence.ts';
import { FirstContact } from './join/first-contact.ts';
import { conflictError, type Level0File } from './upload/level0-writer.ts';
import { readLocalFile, type LostFiles } from './upload/local-file.ts';
import { asOneDatabase } from './join/one-database.ts';
import { instantOf } from './position/instant.ts';
import { maxTxidOfLevel, maxTxidsOfReplica, openLevel0, timeOf } from './position/remote-position.ts';
import type { AskedEnds } from './position/remote-position.ts';
import { RecentPositions } from './position/recent-positions.ts';
import type { ReplicaDb } from './position/replica-db.ts';
import type { ReplicaOptions, ReplicaStatus, StopOptions } from './replica-options.ts';
import { replaceLost } from './upload/replace-lost.ts';
import { UploadLoop } from './upload/upload-loop.ts';
import { syncForShutdown } from './upload/shutdown-sync.ts';
import { uploadSnapshot } from './upload/upload-snapshot.ts';

/**
 * Ships the level-0 files of one database to one replica, in order, each complete before the next starts. Never touches
 * SQLite, and leaves levels above 0 to others, but for the snapshot that replaces local files that were lost.
 */
export class Replica implements History, AsyncDisposable {
  readonly client: ReplicaClient;
  readonly #db: ReplicaDb;
  readonly #logger: Logger;
  /** As it was given, without this replica's type. */
  readonly #dbLogger: Logger;
  readonly #clock: Clock;
  readonly #uploadLoop: UploadLoop;
  readonly #autoRecover: boolean;
  readonly #onSnapshot: (file: LtxFileInfo) => void;
  readonly #mutex = new Mutex();
  readonly #listeners = new Set<(position: Position) => void>();
  /** Position of the remote; undefined until it is asked, and after any failure. */
  #remote: TXID | undefined;
  #confirmed: TXID = 0n;
  #uploadCount = 0;
  #newest: LtxFileInfo | undefined;
  readonly #recentPositions: RecentPositions;
  readonly #contact: FirstContact;
  readonly #evidence: Evidence;
  readonly #conflict: Conflict;
  readonly #cut: Cut;
  /** The local files were found to continue what the replica holds. */
  #known = false;
  /** Of the database, when it was last looked at: each time that it is opened the two meet again. */
  #generation: number | undefined;
  /** Files up to here were written by an earlier process and are verified before they are sent, however big. */
  #unverified: TXID;
  #unsubscribe: (() => void) | undefined;
  /** First transactions of permanent gaps in level 0 that a warning has reported. There are few: each one is a disaster. */
  readonly #reportedGaps = new Set<TXID>();
  #nextAcknowledgement: Promise<void> | undefined;
  /** Why the last local file that was lost could not be read. */
  #lost: unknown;
  #lastSyncAt: Date | undefined;
  #lastError: unknown;

  constructor(client: ReplicaClient, db: ReplicaDb, options: ReplicaOptions = {}) {
    this.client = client;
    this.#db = db;
    this.#dbLogger = options.logger ?? silentLogger;
    this.#logger = this.#dbLogger.child({ replica: client.type });
    this.#clock = options.clock ?? systemClock;
    this.#autoRecover = options.autoRecover ?? true;
    this.#uploadLoop = new UploadLoop({
      round: (signal) => this.#mutex.run(() => this.#syncOnce({ signal }), signal),
      isBehind: () =>
        db.position.txid !== 0n && (db.position.txid !== this.#remote || !this.isKnown || this.#cut.isOpen),
      intervalMs: options.syncIntervalMs ?? 1000,
      clock: this.#clock,
      logger: this.#logger,
      onError: options.onError ?? (() => undefined),
    });
    this.#onSnapshot = options.onSnapshot ?? (() => undefined);
    this.#unverified = db.position.txid;
    this.#recentPositions = new RecentPositions(this.#clock);
    const ask = (op: Op): Promise<AskedEnds> => this.#ask(op);
    const parts = { client, db, clock: this.#clock, logger: this.#logger, ask, fence: options.fence };
    this.#cut = new Cut(this.#logger);
    this.#evidence = new Evidence({ ...parts, onCut: () => this.#cut.confirm() });
    this.#conflict = new Conflict({ ...parts, mayRecover: this.#autoRecover, quietMs: options.conflictQuietMs });
    this.#contact = new FirstContact({
      ...parts,
      create: (file, op) => this.#create(file, op),
      upload: async (txid, op) => (await this.#uploadNext(txid, op)) ?? this.#replaceLost(txid, op),
      snapshot: (after, op) => this.#takeSnapshot(op, (txid) => this.#uploadThrough(after, txid, op, 'covered')),
      onGap: (txid) => this.#reportedGaps.add(txid),
    });
  }

  /** The last transaction that is known to be on the replica; 0 until it has been compared with the database. */
  get position(): Position {
    return { txid: this.#generation === this.#db.generation && !this.#cut.isOpen ? this.#confirmed : 0n };
  }

  status(): ReplicaStatus {
    return { position: this.position, lastSyncAt: this.#lastSyncAt, lastError: this.#lastError };
  }

  /** Called after each upload, and when a replica that failed answers again. Returns what ends it. */
  onUpload(listener: (position: Position) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Highest TXID at any level of the replica. What it learns of level 0 saves the first upload a listing. */
  async maxTxid(options: Op = {}): Promise<TXID> {
    const before = this.#uploadCount;
    const ends = await this.#ask(options);
    // Asked by a database that is being opened: the two meet next, unless more was sent meanwhile.
    if (this.#uploadCount === before) this.#contact.learn(ends);
    this.#newest = ends.newest;
    return ends.max;
  }

  async #ask(options: Op): Promise<AskedEnds> {
    const askedAt = instantOf(this.#clock);
    const ends = await maxTxidsOfReplica(this.client, options);
    this.#recentPositions.learn(ends.tops, askedAt.monotonic);
    return { ...ends, askedAt };
  }

  /**
   * The newest file of each level as it was a moment ago, before this process wrote anything but level 0; undefined if
   * that is not known (any more). Who takes it keeps it up to date.
   */
  takeTops(): ReadonlyMap<number, LtxFileInfo> | undefined {
    return this.#recentPositions.take();
  }

  /** Time of the last transaction that `maxTxid` found; undefined if there was none. */
  async lastTimestamp(options: Op = {}): Promise<Date | undefined> {
    return this.#newest === undefined ? undefined : await timeOf(this.client, this.#newest, options);
  }

  /** The last attempt to send something failed, or another process writes to the replica. */
  get isDown(): boolean {
    return this.#lastError !== undefined || this.#conflict.error !== undefined;
  }

  /**
   * Has it answered since the database was last opened, and is it certain that it holds no transactions but those that
   * the database goes on from?
   */
  get isKnown(): boolean {
    return this.#known && this.#generation === this.#db.generation;
  }

  /** The level-0 file of one transaction; undefined if the replica has none. */
  async openLevel0(txid: TXID, options: Op = {}): Promise<AsyncIterable<Uint8Array> | undefined> {
    return await openLevel0(this.client, txid, options);
  }

  /** Uploads by itself from now on: at once when the database changes after quiet, then once per interval. */
  start(): void {
    if (this.#uploadLoop.signal !== undefined) return;
    this.#unverified = this.#db.position.txid;
    this.#uploadLoop.start();
    this.#unsubscribe = this.#db.onChange(() => this.#uploadLoop.request());
    this.#uploadLoop.request();
  }

  /** Uploads every local file that the replica does not have yet. */
  async sync(options: Op = {}): Promise<void> {
    await this.#mutex.run(() => this.#syncOnce(options), options.signal);
  }

  /**
   * Resolves once every commit made before the call is on the replica. Callers that come while an upload is under way
   * share the next one. Rejects with `REPLICA_CONFLICT` for as long as another process writes to the replica.
   */
  async replicated(options: Op = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.#nextAcknowledgement ??= this.#mutex.run(async () => {
      // From here on a commit may come too late for this round: later callers need another.
      this.#nextAcknowledgement = undefined;
      const { signal } = this.#uploadLoop;
      const [synced] = await Promise.allSettled([this.#db.sync({ signal, requires: 'file' })]);
      // Commits that were read from a file that is now gone are sent nevertheless.
      const [sent] = await Promise.allSettled([this.#syncOnce({ signal })]);
      for (const each of [synced, sent]) if (each.status === 'rejected') throw each.reason;
    });
    await raceAbort(this.#nextAcknowledgement, options.signal);
  }

  /** Asks how far the replica reaches. Rejects with `REPLICA_CONFLICT` if that is farther than this process has got. */
  async requireAlone(options: Op = {}): Promise<void> {
    await this.#exclusively(() => this.#requireAlone(options), options);
  }

  /** Inside the mutex. First finds out whether a file whose answer was lost is ours. */
  async #requireAlone(options: Op): Promise<void> {
    const target = this.#db.position.txid;
    if (this.isKnown && target > 0n) this.#remote ??= await this.#evidence.askPosition(target, options);
    await this.#evidence.requireAlone(options);
  }

  /** Compares database and replica, if there is a transaction to compare. Rejects with `PROMOTION_REFUSED` under a lease. */
  async meet(options: Op = {}): Promise<void> {
    await this.#exclusively(() => this.#meet(options), options);
  }

  /** Last transaction that another program wrote, while a snapshot of ours is owed for it. */
  get snapshotOwedFor(): TXID | undefined {
    return this.#db.snapshotOwedFor;
  }

  /** Was a warning given that level 0 lacks this transaction, and some that follow it, for good? */
  isGapReported(txid: TXID): boolean {
    return this.#reportedGaps.has(txid);
  }

  /**
   * Uploads a snapshot of the database to level 9, once it is certain that the replica holds the same history. Rejects
   * with `REPLICA_CONFLICT` while another process writes there.
   */
  async snapshot(options: Op = {}): Promise<LtxFileInfo> {
    return await asOneDatabase(
      this.#db,
      async () => {
        if (this.#db.position.txid === 0n) await this.#db.sync(options);
        if (!this.isKnown || this.#conflict.error !== undefined)
          await this.#exclusively(() => this.#meet(options), options);
        const upTo = (txid: TXID): Promise<void> =>
          this.#exclusively(() => this.#uploadTo(txid, options, 'covered'), options);
        return await this.#takeSnapshot(options, upTo);
      },
      options,
    );
  }

  /**
   * Files that the replica held are gone, by the word of who looked. From now on nothing is acknowledged until a snapshot
   * is there, as it is once this resolves: to that one, if it was not taken by another call. Rejects with `REPLICA_CONFLICT`
   * where they are gone because another process took its turn.
   */
  async recoverCut(options: Op = {}): Promise<LtxFileInfo | undefined> {
    this.#cut.suspect();
    // Should this fail, rounds go on trying.
    this.#uploadLoop.request();
    let taken: LtxFileInfo | undefined;
    await this.#exclusively(async () => {
      await this.#meet(options);
      if (this.#cut.isOpen) taken = await this.#healCut(options);
    }, options);
    return taken;
  }

  /** Inside the mutex, after first contact. Files that seem deleted may have been compacted by another process. */
  async #healCut(options: Op): Promise<LtxFileInfo> {
    await this.#requireAlone(options);
    this.#cut.confirm();
    const file = await this.#takeSnapshot(options, (txid) => this.#uploadTo(txid, options, 'covered'));
    await this.#prove(file.maxTxid, options);
    return file;
  }

  async #takeSnapshot(options: Op, prove: (txid: TXID) => Promise<void>): Promise<LtxFileInfo> {
    this.#recentPositions.take();
    const parts = {
      client: this.client,
      db: this.#db,
      logger: this.#logger,
      prove: async (txid: TXID): Promise<void> => {
        this.#requireSameDatabase();
        await prove(txid);
        this.#requireSameDatabase();
      },
    };
    const info = await this.#writing(() => uploadSnapshot(parts, options));
    const wasCut = this.#cut.heal();
    this.#db.snapshotKept?.();
    this.#onSnapshot(info);
    if (wasCut) this.#publish();
    return info;
  }

  /**
   * Ends uploading. With a final sync (the default) everything committed is sent first, for up to 30 s; rejects with
   * `TIMEOUT` or `ABORTED` if that did not succeed, and has stopped all the same.
   */
  async stop(options: StopOptions = {}): Promise<void> {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    const lifetime = this.#uploadLoop.close();
    try {
      if (options.finalSync !== false && lifetime !== undefined) {
        await syncForShutdown((signal) => this.#syncAll(signal), this.#dbLogger, {
          ...options,
          facts: { replica: this.client.type },
        });
      }
    } finally {
      lifetime?.abort(new LitestreamError('the replica was stopped', { code: 'ABORTED', operation: 'sync' }));
      await this.#uploadLoop.idle();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** What is in the local files is sent even if the database itself cannot be read any more. */
  async #syncAll(signal: AbortSignal): Promise<void> {
    await this.#mutex.run(async () => {
      const [synced] = await Promise.allSettled([this.#db.sync({ signal, requires: 'ready' })]);
      await this.#syncOnce({ signal });
      if (synced.status === 'rejected') throw synced.reason;
    }, signal);
  }

  /** Inside the mutex. */
  async #syncOnce(options: Op): Promise<void> {
    try {
      options.signal?.throwIfAborted();
      await this.#refusingConflicts(
        () => asOneDatabase(this.#db, () => this.#uploadPending(options), options),
        options,
      );
      // Before there is anything to send, nothing is known to be safe.
      if (this.#db.position.txid > 0n) this.#lastSyncAt = new Date(this.#clock.now());
      // It answers again although there was nothing to send: who waits for that hears of it.
      if (this.#lastError !== undefined) this.#publish();
    } catch (error) {
      // Nobody knows how far it came: the replica is asked again.
      this.#remote = undefined;
      if (options.signal?.aborted !== true) this.#lastError = error;
      throw error;
    }
  }

  /** In the mutex, and not while another process writes to the replica. */
  async #exclusively(work: () => Promise<void>, options: Op): Promise<void> {
    await this.#mutex.run(() => this.#refusingConflicts(work, options), options.signal);
  }

  /** Inside the mutex. Rejects at once in a conflict, and with `REPLICA_CONFLICT` where `work` finds one. */
  async #refusingConflicts(work: () => Promise<void>, options: Op): Promise<void> {
    if (this.#generation !== this.#db.generation) this.#conflict.reopened(this.#db.inode);
    // What was known of the replica then is not true any more: the two meet once more.
    const theirs = await this.#conflict.endOfOther(options);
    if (theirs !== undefined) this.#forget(theirs);
    try {
      await work();
    } catch (error) {
      if (hasCode(error, 'REPLICA_CONFLICT')) {
        this.#remote = undefined;
        await this.#conflict.found(error, this.#db, options);
        this.#lastError = error;
      }
      throw error;
    }
  }

  async #uploadPending(options: Op): Promise<void> {
    await this.#meet(options);
    const target = this.#db.position.txid;
    // No database yet, or nothing committed: not a reason to ask the replica anything.
    if (target === 0n) return;
    await this.#uploadTo(target, options);
    if (this.#cut.isOpen) await this.#healCut(options);
    // Each way here ends with evidence; an answer of the replica is none.
    if (this.#evidence.proven < target) throw unprovenError(target);
  }

  /** Inside the mutex, once the two have met. */
  async #uploadTo(target: TXID, options: Op, lost: LostFiles = 'replaced'): Promise<void> {
    this.#remote ??= await this.#evidence.askPosition(target, options);
    this.#requireSameDatabase();
    if (this.#remote < target) {
      this.#logger.debug('replica sync', { 'txid.replica': formatTxid(this.#remote), 'txid.db': formatTxid(target) });
    }
    await this.#uploadThrough(this.#remote, target, options, lost);
  }

  /** Uploads what comes after `from`, up to `target`, or to the first file that is lost where a snapshot is to cover it. */
  async #uploadThrough(from: TXID, target: TXID, options: Op, lost: LostFiles): Promise<void> {
    this.#remote = from;
    if (this.#known && from <= this.#evidence.proven) await this.#prove(from, options);
    while (this.#remote < target) {
      options.signal?.throwIfAborted();
      // Before each file: this process may be suspended in the middle of a backlog.
      if (this.#remote === this.#evidence.proven) await this.#evidence.requireNewest(options);
      const next = this.#remote + 1n;
      const reached = await this.#uploadNext(next, options);
      if (reached === undefined && lost === 'covered') return;
      await this.#prove(reached ?? (await this.#replaceLost(next, options)), options);
    }
  }

  /** The replica holds what this database wrote, up to here. */
  async #prove(txid: TXID, options: Op): Promise<void> {
    await this.#evidence.acknowledge(txid, options);
    this.#remote = txid;
    this.#evidence.prove(txid);
    // Until database and replica have been compared, the restart is not complete.
    if (this.#known) this.#confirm(txid);
  }

  /** Inside the mutex. Nothing is confirmed, and nothing written but what a new beginning takes, before this is done. */
  async #meet(options: Op): Promise<void> {
    const { generation, baseline, position } = this.#db;
    if (this.#generation !== generation) {
      if (this.#generation !== undefined) this.#unverified = baseline ?? position.txid;
      this.#generation = generation;
      this.#forget();
    }
    if (this.#known || position.txid === 0n) return;
    const { askedAt, txid } = await this.#contact.meet(options);
    this.#requireSameDatabase();
    this.#evidence.prove(txid);
    if (askedAt !== undefined) this.#evidence.seen(askedAt);
    this.#remote = this.#evidence.proven;
    this.#known = true;
  }

  /** Nothing is known of the replica: the two have to meet. */
  #forget(theirs?: TXID): void {
    this.#known = false;
    this.#remote = undefined;
    this.#confirmed = 0n;
    this.#evidence.forget();
    this.#contact.reset(theirs);
  }

  /** What was found out of the database, and its local files, may not hold for the one that took its place. */
  #requireSameDatabase(): void {
    if (this.#generation === this.#db.generation) return;
    const message = 'the database was reopened while its replica was written to';
    throw new LitestreamError(message, { code: 'ABORTED', operation: 'sync', retryable: true });
  }

  /** Returns the position after it; undefined if the file is lost, and no other stands in its place on the replica. */
  async #uploadNext(txid: TXID, options: Op): Promise<TXID | undefined> {
    const path = this.#db.localLtx(0).path(txid, txid);
    const local = await readLocalFile(path, txid, { verified: txid <= this.#unverified });
    if ('lost' in local) {
      // What cannot be compared with the file that is lost is not taken for it.
      if ((await maxTxidOfLevel(this.client, 0, { ...options, seek: txid })) > 0n) throw conflictError(txid);
      this.#lost = local.lost;
      return undefined;
    }
    this.#requireSameDatabase();
    const { body, timestamp } = local;
    await this.#create({ txid, timestamp, body }, options);
    this.#requireSameDatabase();
    return txid;
  }

  async #create(file: Level0File, options: Op): Promise<void> {
    await this.#writing(() => this.#evidence.create(file, options));
  }

  /** What was learnt of the replica before is not up to date afterwards. */
  async #writing<T>(write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } finally {
      this.#uploadCount += 1;
      this.#contact.learn(undefined);
    }
  }

  async #replaceLost(txid: TXID, options: Op): Promise<TXID> {
    const parts = {
      client: this.client,
      db: this.#db,
      logger: this.#logger,
      autoRecover: this.#autoRecover,
      requireSameDatabase: () => this.#requireSameDatabase(),
      onGap: (from: TXID) => this.#reportedGaps.add(from),
      takeSnapshot: (op: Op) => this.#takeSnapshot(op, async () => undefined),
    };
    return await replaceLost(parts, txid, this.#lost, options);
  }

  #confirm(txid: TXID): void {
    if (txid === this.#confirmed) return;
    this.#confirmed = txid;
    this.#publish();
  }

  #publish(): void {
    this.#lastError = undefined;
    for (const listener of this.#listeners) listener(this.position);
  }
}
