import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { raceAbort } from '../storage/client-kit/sdk-abort.ts';
import { systemClock } from '../util/clock.ts';
import { Mutex } from '../util/mutex.ts';
import type { History, Position } from '../db/session/options.ts';
import { hasCode, LitestreamError } from '../util/error.ts';
import { DEFAULTS } from '../util/defaults.ts';
import { silentLogger, type Logger } from '../util/logger.ts';
import { Conflict } from './conflict.ts';
import { Cut } from './cut.ts';
import { asOneDatabase } from './join/one-database.ts';
import { Level0Uploader, type TakeSnapshot } from './level0-uploader.ts';
import { RemoteEnds } from './position/remote-ends.ts';
import { openLevel0 } from './position/remote-position.ts';
import type { ReplicaDb } from './position/replica-db.ts';
import type { ReplicaOptions, ReplicaStatus, StopOptions } from './replica-options.ts';
import { SnapshotUploader } from './snapshot-uploader.ts';
import { UploadLoop } from './upload/upload-loop.ts';
import { UploadRecord } from './upload/upload-record.ts';
import { syncForShutdown } from './upload/shutdown-sync.ts';

/**
 * Ships the level-0 files of one database to one replica, in order, each complete before the next starts. Never touches
 * SQLite, and leaves levels above 0 to others, but for the snapshot that replaces local files that were lost.
 */
export class Replica implements History, AsyncDisposable {
  readonly client: ReplicaClient;
  readonly #db: ReplicaDb;
  /** As it was given, without this replica's type. */
  readonly #dbLogger: Logger;
  readonly #mutex = new Mutex();
  readonly #ends: RemoteEnds;
  readonly #uploader: Level0Uploader;
  readonly #snapshots: SnapshotUploader;
  readonly #conflict: Conflict;
  readonly #cut: Cut;
  readonly #rounds: UploadLoop;
  readonly #record: UploadRecord;
  #unsubscribe: (() => void) | undefined;
  #nextAcknowledgement: Promise<void> | undefined;

  constructor(client: ReplicaClient, db: ReplicaDb, options: ReplicaOptions = {}) {
    const { autoRecover = true, clock = systemClock, fence, conflictQuietMs: quietMs } = options;
    this.client = client;
    this.#db = db;
    this.#dbLogger = options.logger ?? silentLogger;
    const logger = this.#dbLogger.child({ replica: client.type });
    const ends = new RemoteEnds(client, clock, (found) => this.#uploader.learn(found));
    const cut = new Cut(logger);
    const parts = { client, db, clock, logger, ends, cut, fence };
    this.#ends = ends;
    this.#cut = cut;
    this.#record = new UploadRecord(clock);
    this.#conflict = new Conflict({ ...parts, ask: (op) => ends.ask(op), mayRecover: autoRecover, quietMs });
    const takeSnapshot: TakeSnapshot = (op, prove) => this.#snapshots.take(op, prove);
    const onConfirmed = (): void => this.#publish();
    this.#uploader = new Level0Uploader({ ...parts, autoRecover, takeSnapshot, onConfirmed });
    const onSnapshot = options.onSnapshot ?? ((): void => undefined);
    this.#snapshots = new SnapshotUploader({ ...parts, uploader: this.#uploader, onSnapshot, onHealed: onConfirmed });
    this.#rounds = new UploadLoop({
      round: (signal) => this.#mutex.run(() => this.#syncOnce({ signal }), signal),
      isBehind: () => this.#uploader.isBehind,
      intervalMs: options.syncIntervalMs ?? DEFAULTS.syncIntervalMs,
      clock,
      logger,
      onError: options.onError ?? (() => undefined),
    });
  }

  /** The last transaction that is known to be on the replica; 0 until it has been compared with the database. */
  get position(): Position {
    return { txid: this.#uploader.confirmed };
  }

  status(): ReplicaStatus {
    return { position: this.position, lastSyncAt: this.#record.lastSyncAt, lastError: this.#record.lastError };
  }

  /** Called after each upload, and when a replica that failed answers again. Returns what ends it. */
  onUpload(listener: (position: Position) => void): () => void {
    return this.#record.listeners.add(listener);
  }

  /** Highest TXID at any level of the replica. What it learns of level 0 saves the first upload a listing. */
  async maxTxid(options: Op = {}): Promise<TXID> {
    return await this.#ends.maxTxid(options);
  }

  /**
   * The newest file of each level as it was a moment ago, before this process wrote anything but level 0; undefined if
   * that is not known (any more). Who takes it keeps it up to date.
   */
  takeTops(): ReadonlyMap<number, LtxFileInfo> | undefined {
    return this.#ends.takeTops();
  }

  /** Time of the last transaction that `maxTxid` found; undefined if there was none. */
  async lastTimestamp(options: Op = {}): Promise<Date | undefined> {
    return await this.#ends.lastTimestamp(options);
  }

  /** The last attempt to send something failed, or another process writes to the replica. */
  get isDown(): boolean {
    return this.#record.lastError !== undefined || this.#conflict.error !== undefined;
  }

  /** The replica has answered since the database was last opened, and holds only transactions that the database continues from. */
  get isKnown(): boolean {
    return this.#uploader.isKnown;
  }

  /** The level-0 file of one transaction; undefined if the replica has none. */
  async openLevel0(txid: TXID, options: Op = {}): Promise<AsyncIterable<Uint8Array> | undefined> {
    return await openLevel0(this.client, txid, options);
  }

  /** Uploads by itself from now on: at once when the database changes after quiet, then once per interval. */
  start(): void {
    if (this.#rounds.signal !== undefined) return;
    this.#uploader.begin();
    this.#rounds.start();
    const unsubscribe = this.#db.onChange(() => this.#rounds.request());
    const release = this.#db.awaitUploads?.(() => this.#uploader.filesInFlight);
    this.#unsubscribe = () => {
      unsubscribe();
      release?.();
    };
    this.#rounds.request();
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
      const { signal } = this.#rounds;
      const [synced] = await Promise.allSettled([this.#db.sync({ signal, requires: 'file' })]);
      // Commits that were read from a file that is now gone are sent nevertheless.
      const [sent] = await Promise.allSettled([this.#syncOnce({ signal })]);
      for (const each of [synced, sent]) if (each.status === 'rejected') throw each.reason;
    });
    await raceAbort(this.#nextAcknowledgement, options.signal);
  }

  /** Asks how far the replica reaches. Rejects with `REPLICA_CONFLICT` if that is farther than this process has got. */
  async requireAlone(options: Op = {}): Promise<void> {
    await this.#exclusively(() => this.#uploader.requireAlone(options), options);
  }

  /** Compares database and replica, if there is a transaction to compare. Rejects with `PROMOTION_REFUSED` under a lease. */
  async meet(options: Op = {}): Promise<void> {
    await this.#exclusively(() => this.#uploader.meet(options), options);
  }

  /** Last transaction that another program wrote, while a snapshot of ours is owed for it. */
  get snapshotOwedFor(): TXID | undefined {
    return this.#db.snapshotOwedFor;
  }

  /** Was a warning given that level 0 lacks this transaction, and some that follow it, for good? */
  isGapReported(txid: TXID): boolean {
    return this.#uploader.isGapReported(txid);
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
          await this.#exclusively(() => this.#uploader.meet(options), options);
        const upTo = (txid: TXID): Promise<void> =>
          this.#exclusively(() => this.#uploader.uploadTo(txid, options, 'covered'), options);
        return await this.#snapshots.take(options, upTo);
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
    this.#rounds.request();
    let taken: LtxFileInfo | undefined;
    await this.#exclusively(async () => {
      await this.#uploader.meet(options);
      if (this.#cut.isOpen) taken = await this.#snapshots.healCut(options);
    }, options);
    return taken;
  }

  /**
   * Ends uploading. With a final sync (the default) everything committed is sent first, for up to 30 s; rejects with
   * `TIMEOUT` or `ABORTED` if that did not succeed, and has stopped all the same.
   */
  async stop(options: StopOptions = {}): Promise<void> {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    const lifetime = this.#rounds.close();
    try {
      if (options.finalSync !== false && lifetime !== undefined) {
        await syncForShutdown((signal) => this.#syncAll(signal), this.#dbLogger, {
          ...options,
          facts: { replica: this.client.type },
        });
      }
    } finally {
      lifetime?.abort(new LitestreamError('the replica was stopped', { code: 'ABORTED', operation: 'sync' }));
      await this.#rounds.idle();
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
      if (this.#db.position.txid > 0n) this.#record.synced();
      // It answers again although there was nothing to send: listeners hear of it.
      if (this.#record.lastError !== undefined) this.#publish();
    } catch (error) {
      this.#uploader.failed();
      if (options.signal?.aborted !== true) this.#record.failed(error);
      throw error;
    }
  }

  /** In the mutex, and not while another process writes to the replica. */
  async #exclusively(work: () => Promise<void>, options: Op): Promise<void> {
    await this.#mutex.run(() => this.#refusingConflicts(work, options), options.signal);
  }

  /** Inside the mutex. Rejects at once in a conflict, and with `REPLICA_CONFLICT` where `work` finds one. */
  async #refusingConflicts(work: () => Promise<void>, options: Op): Promise<void> {
    if (!this.#uploader.isSameDatabase) this.#conflict.reopened(this.#db.inode);
    // What was known of the replica then is not true any more: the two meet once more.
    const theirs = await this.#conflict.endOfOther(options);
    if (theirs !== undefined) this.#uploader.forget(theirs);
    try {
      await work();
    } catch (error) {
      if (hasCode(error, 'REPLICA_CONFLICT')) {
        this.#uploader.failed();
        await this.#conflict.found(error, this.#db, options);
        this.#record.failed(error);
      }
      throw error;
    }
  }

  async #uploadPending(options: Op): Promise<void> {
    await this.#uploader.meet(options);
    const target = this.#db.position.txid;
    // No database yet, or nothing committed: not a reason to ask the replica anything.
    if (target === 0n) return;
    await this.#uploader.uploadTo(target, options);
    if (this.#cut.isOpen) await this.#snapshots.healCut(options);
    this.#uploader.requireProven(target);
  }

  #publish(): void {
    this.#record.publish(this.position);
  }
}
