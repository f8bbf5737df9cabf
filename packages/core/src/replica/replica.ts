import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../client/contract.ts';
import { raceAbort } from '../client/sdk-abort.ts';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { Mutex } from '../db/mutex.ts';
import { localFault, lostFault } from '../db/local-fault.ts';
import type { History, Position } from '../db/options.ts';
import { hasCode, LitestreamError } from '../error.ts';
import { silentLogger } from '../logger.ts';
import type { Logger } from '../logger.ts';
import { aheadError, FirstContact } from './first-contact.ts';
import { bodyOfFile, isLost, openLocalFile, verifyLocalFile } from './local-file.ts';
import { traced } from '../tracing.ts';
import { maxTxidsOfReplica, remotePosition, snapshotFrom, timeOf } from './remote-position.ts';
import type { ReplicaEnds } from './remote-position.ts';
import type { ReplicaDb } from './replica-db.ts';
import type { ReplicaOptions, ReplicaStatus, StopOptions } from './replica-options.ts';
import { Rounds } from './rounds.ts';
import { syncForShutdown } from './shutdown-sync.ts';
import { uploadFile } from './upload-file.ts';
import { SNAPSHOT_LEVEL } from '../levels.ts';

/** After this another process may have taken its turn. */
const TOPS_AGE_MS_MAX = 60_000;

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
  readonly #rounds: Rounds;
  readonly #autoRecover: boolean;
  readonly #onSnapshot: (file: LtxFileInfo) => void;
  readonly #mutex = new Mutex();
  readonly #listeners = new Set<(position: Position) => void>();
  /** Position of the remote; undefined until it is asked, and after any failure. */
  #remote: TXID | undefined;
  #confirmed: TXID = 0n;
  #uploadCount = 0;
  #newest: LtxFileInfo | undefined;
  /** What its levels ended with when it was last asked, until somebody takes over from there. */
  #tops: { readonly files: ReplicaEnds['tops']; readonly askedAtMs: number } | undefined;
  readonly #contact: FirstContact;
  /** The local files were found to continue what the replica holds. */
  #known = false;
  /** Of the database, when it was last looked at: each time that it is opened the two meet again. */
  #generation: number | undefined;
  /** Files up to here were written by an earlier process and are verified before they are sent, however big. */
  #unverified: TXID;
  #unsubscribe: (() => void) | undefined;
  /** First transactions of what level 0 lacks for good, and a warning told of: a few, each is a disaster. */
  readonly #holesTold = new Set<TXID>();
  #nextAcknowledgement: Promise<void> | undefined;
  #lastSyncAt: Date | undefined;
  #lastError: unknown;

  constructor(client: ReplicaClient, db: ReplicaDb, options: ReplicaOptions = {}) {
    this.client = client;
    this.#db = db;
    this.#dbLogger = options.logger ?? silentLogger;
    this.#logger = this.#dbLogger.child({ replica: client.type });
    this.#clock = options.clock ?? systemClock;
    this.#autoRecover = options.autoRecover ?? true;
    this.#rounds = new Rounds({
      round: (signal) => this.sync({ signal }),
      isBehind: () => db.position.txid !== 0n && (db.position.txid !== this.#remote || !this.isKnown),
      intervalMs: options.syncIntervalMs ?? 1000,
      clock: this.#clock,
      logger: this.#logger,
      onError: options.onError ?? (() => undefined),
    });
    this.#onSnapshot = options.onSnapshot ?? (() => undefined);
    this.#unverified = db.position.txid;
    this.#contact = new FirstContact({
      client,
      db,
      logger: this.#logger,
      ask: (op) => this.#ask(op),
      upload: (txid, op) => this.#uploadNext(txid, op),
      snapshot: (op) => this.#takeSnapshot(op),
      onHole: (txid) => this.#holesTold.add(txid),
    });
  }

  /** The last transaction that is known to be on the replica; 0 until it has been compared with the database. */
  get position(): Position {
    return { txid: this.#generation === this.#db.generation ? this.#confirmed : 0n };
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

  async #ask(options: Op): Promise<ReplicaEnds> {
    const askedAtMs = this.#clock.monotonic();
    const ends = await maxTxidsOfReplica(this.client, options);
    this.#tops = { files: ends.tops, askedAtMs };
    return ends;
  }

  /**
   * The newest file of each level as it was a moment ago, before this process wrote anything but level 0; undefined if
   * that is not known (any more). Who takes it keeps it up to date.
   */
  takeTops(): ReadonlyMap<number, LtxFileInfo> | undefined {
    const tops = this.#tops;
    this.#tops = undefined;
    return tops !== undefined && this.#clock.monotonic() - tops.askedAtMs < TOPS_AGE_MS_MAX ? tops.files : undefined;
  }

  /** Time of the last transaction that `maxTxid` found; undefined if there was none. */
  async lastTimestamp(options: Op = {}): Promise<Date | undefined> {
    return this.#newest === undefined ? undefined : await timeOf(this.client, this.#newest, options);
  }

  /** The last attempt to send something failed. */
  get isDown(): boolean {
    return this.#lastError !== undefined;
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
    try {
      return await this.client.openLtxFile({ level: 0, minTxid: txid, maxTxid: txid }, options);
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Uploads by itself from now on: at once when the database changes after quiet, then once per interval. */
  start(): void {
    if (this.#rounds.signal !== undefined) return;
    this.#unverified = this.#db.position.txid;
    this.#rounds.start();
    this.#unsubscribe = this.#db.onChange(() => this.#rounds.request());
    this.#rounds.request();
  }

  /** Uploads every local file that the replica does not have yet. */
  async sync(options: Op = {}): Promise<void> {
    await this.#mutex.run(() => this.#syncOnce(options), options.signal);
  }

  /**
   * Resolves once every commit made before the call is on the replica. Callers that come while an upload is under way
   * share the next one.
   */
  async replicated(options: Op = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.#nextAcknowledgement ??= this.#mutex.run(async () => {
      // From here on a commit may come too late for this round: later callers need another.
      this.#nextAcknowledgement = undefined;
      const { signal } = this.#rounds;
      await this.#db.sync({ signal });
      await this.#syncOnce({ signal });
    });
    await raceAbort(this.#nextAcknowledgement, options.signal);
  }

  /** Last transaction that another program wrote, while a snapshot of ours is owed for it. */
  get snapshotOwedFor(): TXID | undefined {
    return this.#db.snapshotOwedFor;
  }

  /** Was a warning given that level 0 lacks this transaction, and some that follow it, for good? */
  isHoleTold(txid: TXID): boolean {
    return this.#holesTold.has(txid);
  }

  /** Uploads a snapshot of the database to level 9, once it is certain that the replica holds the same history. */
  async snapshot(options: Op = {}): Promise<LtxFileInfo> {
    return await this.#asOneDatabase(async () => {
      if (this.#db.position.txid === 0n) await this.#db.sync(options);
      if (!this.isKnown) await this.#mutex.run(() => this.#meet(options), options.signal);
      return await this.#takeSnapshot(options);
    }, options);
  }

  async #takeSnapshot(options: Op): Promise<LtxFileInfo> {
    this.#tops = undefined;
    const info = await traced(
      'snapshot',
      () => ({ replica: this.client.type }),
      () => this.#snapshot(options),
    );
    this.#db.snapshotKept?.();
    this.#onSnapshot(info);
    return info;
  }

  async #snapshot(options: Op): Promise<LtxFileInfo> {
    await using snapshot = await this.#db.snapshot(options);
    this.#requireSameDatabase();
    const { txid } = snapshot.position;
    const { size, path } = snapshot;
    const body = path === undefined ? { size, open: () => snapshot.body } : bodyOfFile(path, size);
    const timestamp = new Date(snapshot.header.timestampMs);
    return await this.#upload({ level: SNAPSHOT_LEVEL, minTxid: 1n, maxTxid: txid, timestamp, body }, options);
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
      const [synced] = await Promise.allSettled([this.#db.sync({ signal })]);
      await this.#syncOnce({ signal });
      if (synced.status === 'rejected') throw synced.reason;
    }, signal);
  }

  /** Inside the mutex. */
  async #syncOnce(options: Op): Promise<void> {
    try {
      options.signal?.throwIfAborted();
      await this.#asOneDatabase(() => this.#uploadPending(options), options);
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

  /** Begins again if the database is opened anew on the way: what went wrong then says nothing of the new one. */
  async #asOneDatabase<T>(work: () => Promise<T>, { signal }: Op): Promise<T> {
    for (;;) {
      const { generation } = this.#db;
      try {
        return await work();
      } catch (error) {
        if (this.#db.generation === generation) throw error;
        signal?.throwIfAborted();
      }
    }
  }

  async #uploadPending(options: Op): Promise<void> {
    await this.#meet(options);
    const target = this.#db.position.txid;
    // No database yet, or nothing committed: not a reason to ask the replica anything.
    if (target === 0n) return;
    this.#remote ??= await remotePosition(this.client, target, options);
    this.#requireSameDatabase();
    if (this.#remote > target) throw aheadError(this.#remote, target);
    this.#confirm(this.#remote);
    if (this.#remote === target) return;
    this.#logger.debug('replica sync', { 'txid.replica': formatTxid(this.#remote), 'txid.db': formatTxid(target) });
    while (this.#remote < target) {
      options.signal?.throwIfAborted();
      this.#remote = await this.#uploadNext(this.#remote + 1n, options);
      this.#confirm(this.#remote);
    }
  }

  /** Inside the mutex. Nothing is confirmed, and nothing written but what a new beginning takes, before this is done. */
  async #meet(options: Op): Promise<void> {
    const { generation, baseline, position } = this.#db;
    if (this.#generation !== generation) {
      if (this.#generation !== undefined) this.#unverified = baseline ?? position.txid;
      this.#generation = generation;
      this.#known = false;
      this.#remote = undefined;
      this.#confirmed = 0n;
      this.#contact.reset();
    }
    if (this.#known || position.txid === 0n) return;
    const remote = await this.#contact.meet(options);
    this.#requireSameDatabase();
    this.#remote = remote;
    this.#known = true;
  }

  /** What was found out of the database, and its local files, may not hold for the one that took its place. */
  #requireSameDatabase(): void {
    if (this.#generation === this.#db.generation) return;
    const message = 'the database was opened anew while its replica was written to';
    throw new LitestreamError(message, { code: 'ABORTED', operation: 'sync', retryable: true });
  }

  /** Returns the position after it: `txid`, or that of a snapshot where the file is lost. */
  async #uploadNext(txid: TXID, options: Op): Promise<TXID> {
    const path = this.#db.localLtx(0).path(txid, txid);
    let local;
    try {
      local = await openLocalFile(path, txid);
      if (local.isKept || txid <= this.#unverified) await verifyLocalFile(local, path);
    } catch (error) {
      if (!isLost(error)) throw localFault(error, path);
      return await this.#replaceLost(txid, error, options);
    }
    this.#requireSameDatabase();
    const { body, timestamp } = local;
    await this.#upload({ level: 0, minTxid: txid, maxTxid: txid, timestamp, body }, options);
    this.#requireSameDatabase();
    return txid;
  }

  async #upload(file: Parameters<typeof uploadFile>[1], options: Op): Promise<LtxFileInfo> {
    try {
      return await uploadFile(this.client, file, { ...options, logger: this.#logger });
    } finally {
      this.#uploadCount += 1;
      this.#contact.learn(undefined);
    }
  }

  /** A local file that the replica needs is gone: a snapshot holds what it held. */
  async #replaceLost(txid: TXID, error: unknown, options: Op): Promise<TXID> {
    const found = await snapshotFrom(this.client, txid, options);
    this.#requireSameDatabase();
    const there = found !== undefined && found.maxTxid <= this.#db.position.txid ? found : undefined;
    if (there === undefined && !this.#autoRecover) throw lostFault(error, this.#db.localLtx(0).path(txid, txid));
    // Said of a snapshot that is there already, too: only the moments at which one was taken can be restored now.
    this.#logger.warn('local ltx file is missing or damaged, replacing it by a snapshot', {
      txid: formatTxid(txid),
      error,
    });
    this.#holesTold.add(txid);
    const { maxTxid } = there ?? (await this.#takeSnapshot(options));
    this.#requireSameDatabase();
    return maxTxid;
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
