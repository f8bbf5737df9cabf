import { basename, dirname, join } from 'node:path';
import type { TXID } from '@litestream/ltx';
import type { Op } from '../storage/contract/contract.ts';
import { hasCode } from '../util/error.ts';
import type { Logger } from '../util/logger.ts';
import { ArrivalWatch } from './open/arrival.ts';
import { BackgroundComparison } from './snapshot/background-comparison.ts';
import type { CheckpointMode } from '../sqlite/checkpoint/checkpoint-call.ts';
import { missingError, notOpenError } from '../sqlite/database-file/db-errors.ts';
import { stateOf, type Checkpoint, type DbStatus } from './status/db-status.ts';
import { CommitTimes } from './session/commit-times.ts';
import { comparePages, type ComparedPages } from './snapshot/compare-pages.ts';
import { Contexts } from './contexts.ts';
import { ChangeMarker } from '../files/change-marker.ts';
import { checkpointIfDue, checkpointNow } from './checkpoint/checkpoint.ts';
import { checkpointIsDue, quietInMs } from './checkpoint/checkpoint-due.ts';
import type { LeftOut } from './sync/sync-context.ts';
import { LocalLevels, type LocalLtx } from '../local-ltx/local-ltx.ts';
import { MetadataLock } from './metadata/metadata-lock.ts';
import { isInUse, type DatabaseInUseError } from './metadata/metadata-lock-errors.ts';
import { MovedFile } from './session/moved-file.ts';
import { Mutex } from '../util/mutex.ts';
import { closeSession, openSession } from './open/open-session.ts';
import { isAtPath } from '../sqlite/database-file/descriptor.ts';
import { Listeners } from '../util/listeners.ts';
import { localFault } from '../local-ltx/local-file-errors.ts';
import { Ledger, type PageProof } from '../ledger/ledger.ts';
import { resolveDbOptions } from './session/options.ts';
import type { DbOptions, History, OpenOptions, Position, ResolvedDbOptions, SyncOptions } from './session/options.ts';
import { bringToRestOrLeave } from './open/rest.ts';
import type { Session } from './session/session.ts';
import { takeSnapshot, type SnapshotStream } from './snapshot/snapshot.ts';
import { movePinAfterSync, tend } from './session/pin.ts';
import { realDatabasePath } from '../files/real-path.ts';
import { readToEnd } from './sync/drain-wal.ts';
import { syncVisible, type SyncOutcome } from './sync/sync.ts';
import { SyncRecord } from './status/sync-record.ts';
import { recordFile, syncSession, withSight } from './sync/sync-session.ts';
import { FollowLoop } from './monitor/monitor.ts';
import { TakenOver } from './metadata/takeover-record.ts';
import { LibraryWatch } from '../sqlite/driver/library-watch.ts';
import { traced } from '../util/tracing.ts';

/**
 * One SQLite database that is monitored: each batch of commits in its WAL becomes one immutable level-0 file in its local
 * folder. Knows nothing of replicas except `History`, which it asks whenever it opens a file at the path. All work that changes
 * the position runs one at a time, in the order of the calls.
 */
export class DB implements AsyncDisposable {
  readonly path: string;
  readonly metaPath: string;
  readonly #stagingPath: string | undefined;
  readonly #options: ResolvedDbOptions;
  readonly #logger: Logger;
  readonly #mutex = new Mutex();
  readonly #listeners = new Listeners<Position>();
  readonly #checkpointListeners = new Listeners<Checkpoint>();
  readonly #proofListeners = new Listeners<PageProof>();
  readonly #arrival: ArrivalWatch;
  readonly #marker: ChangeMarker;
  readonly #record: SyncRecord;
  readonly #times: CommitTimes;
  readonly #ledger: Ledger;
  readonly #comparison: BackgroundComparison;
  readonly #follow: FollowLoop;
  readonly #contexts: Contexts;
  readonly #levels: LocalLevels;
  readonly #takenOver: TakenOver;
  readonly #lock: MetadataLock;
  #history: History | undefined;
  #session: Session | undefined;
  #opened = false;
  #position: Position = { txid: 0n };
  #baseline: TXID = 0n;
  #generation = 0;
  #leftOut: LeftOut | undefined;
  /** Another Litestream replicates the database, and this one stands by. */
  #inUse: DatabaseInUseError | undefined;
  readonly #libraries: LibraryWatch;
  readonly #moved: MovedFile;

  constructor(path: string, options: DbOptions = {}) {
    this.path = path;
    this.metaPath = options.metaPath ?? join(dirname(path), `.${basename(path)}-litestream`);
    this.#levels = new LocalLevels(this.metaPath);
    this.#takenOver = new TakenOver(this.metaPath);
    this.#moved = new MovedFile(path);
    this.#stagingPath = options.stagingPath;
    this.#options = resolveDbOptions(options);
    this.#lock = new MetadataLock(this.metaPath, this.#options.driver);
    this.#logger = this.#options.logger.child({ db: basename(path) });
    this.#times = new CommitTimes(this.#options.clock, this.#logger);
    const onProof = (proof: PageProof): void => this.#proofListeners.tell(proof);
    this.#ledger = new Ledger({ metaPath: this.metaPath, level0: this.localLtx(0), logger: this.#logger, onProof });
    this.#arrival = new ArrivalWatch(path, this.#logger, { quietMs: this.#options.arrivalQuietMs });
    this.#marker = new ChangeMarker(path);
    const pathOf = (): string => this.#session?.path ?? realDatabasePath(path);
    this.#libraries = new LibraryWatch(pathOf, this.#options.driver);
    this.#record = new SyncRecord(this.#options.clock);
    const isDue = (): boolean => this.#session?.isComparisonDue ?? false;
    this.#comparison = new BackgroundComparison({ logger: this.#logger, compare: () => this.comparePages(), isDue });
    this.#contexts = new Contexts({
      options: this.#options,
      metaPath: this.metaPath,
      level0: this.localLtx(0),
      times: this.#times,
      ledger: this.#ledger,
      totals: this.#record.totals,
      mutex: this.#mutex,
      logger: this.#logger,
      // Without a replica, only the database itself has the state.
      onLeftOut: () => this.#history && ((leftOut) => void (this.#leftOut = leftOut)),
      onCheckpoint: (checkpoint) => this.#checkpointListeners.tell(checkpoint),
      publish: (txid) => this.#publish(txid),
      close: (session) => this.#closeSession(session),
      current: () => this.#session,
      require: (operation, op) => this.#requireSession(operation, op),
      sync: (session, op) => this.#syncSession(session, op),
    });
    this.#follow = new FollowLoop({
      pathOf,
      options: this.#options,
      logger: this.#logger,
      sync: async () => {
        const before = this.#position.txid;
        return (await this.sync()).txid !== before;
      },
      mayHaveWork: () => this.#mayHaveWork(),
      quietInMs: () => (this.#session === undefined ? undefined : quietInMs(this.#session, this.#options)),
      tend: () => this.tend(),
    });
  }

  /** Last durable level-0 file. */
  get position(): Position {
    return this.#position;
  }

  /** The highest TXID that was known, here or on a replica that answered, when the database file was last opened. */
  get baseline(): TXID {
    return this.#baseline;
  }

  /** How often a database file was opened here: one that took the place of another may have another history. */
  get generation(): number {
    return this.#generation;
  }

  /** Of the database file; undefined while none is open. */
  get inode(): bigint | undefined {
    return this.#session?.descriptor.inode;
  }

  /** Bytes. */
  get pageSize(): number | undefined {
    return this.#session?.pageSize;
  }

  /**
   * Opens the database and recovers the position, if the file exists and is ready; otherwise it is picked up when it is.
   * While another Litestream replicates it, this one stands by, and takes over when that one ends. Rejects for what waiting
   * cannot repair (`DATABASE_INVALID`, `PERMISSION_DENIED`, `UNSUPPORTED`), and with the failure of `history`.
   */
  async open(options: { history?: History | undefined } & Op = {}): Promise<void> {
    if (this.#opened) return;
    this.#opened = true;
    this.#history = options.history;
    try {
      await this.#mutex.run(() => this.#openSession(options), options.signal);
    } catch (error) {
      if (isInUse(error)) return;
      this.#opened = false;
      this.#lock.release();
      throw error;
    }
  }

  /** Follows the database by itself from now on: at once when it changes, and at `monitorIntervalMs` to be sure. */
  start(): void {
    this.#requireOpen('start');
    this.#follow.start();
  }

  /** Ends what `start` began; a sync under way is finished. */
  async stop(): Promise<void> {
    await this.#follow.stop();
  }

  /**
   * Takes everything that is committed by now into level-0 files. Resolves with the position that holds it. Rejects with
   * `DATABASE_IN_USE` while another Litestream replicates the database, and as `requires` says.
   */
  async sync(options: SyncOptions = {}): Promise<Position> {
    this.#requireOpen('sync');
    const syncOnce = async (): Promise<SyncOutcome> => {
      const outcome = await this.#syncOnce(options);
      // Before any other check of the path, which may find a file that this sync could not read.
      this.#requireSeen(options);
      return outcome;
    };
    await syncVisible(() => this.#mutex.run(syncOnce, options.signal));
    return this.#position;
  }

  /**
   * Takes every page of the database into the next level-0 file, whatever changed. Put behind the files of another history
   * it makes this database of them. Its TXID is above `above`, if that is given. Rejects with `DATABASE_MISSING` while there
   * is none, and with `DATABASE_NOT_READY` while it may not be opened.
   */
  async syncWhole(reason: string, options: { readonly above?: TXID | undefined } & Op = {}): Promise<Position> {
    this.#requireOpen('sync');
    return await this.#mutex.run(async () => {
      const session = await this.#requireSession('sync', options);
      session.apply({ kind: 'disproven', reason, isWhole: true });
      session.raise(options.above ?? 0n);
      await this.#syncSession(session, options);
      return this.#position;
    }, options.signal);
  }

  /** Syncs, then moves the log's pages into the database file. Rejects with `DATABASE_BUSY` if it cannot be locked. */
  async checkpoint(mode: CheckpointMode, options: Op = {}): Promise<void> {
    this.#requireOpen('checkpoint');
    await this.#mutex.run(async () => {
      const session = await this.#openSession(options);
      if (session === undefined) return;
      await syncVisible(() => this.#syncSession(session, options));
      const context = this.#contexts.checkpoint(session, options);
      await withSight(context.syncContext, () => checkpointNow(context, mode));
      recordFile(context.syncContext);
    }, options.signal);
  }

  /**
   * What is to be done between two syncs of a database that is being written to: makes room for the application's own
   * checkpoints. Cheap. Resolves to true if so much was written that the next sync should not wait.
   */
  async tend(): Promise<boolean> {
    return await this.#mutex.run(() =>
      Promise.resolve(this.#session !== undefined && tend(this.#session, this.#options)),
    );
  }

  /** The last transaction that has no local file because there was no room. */
  get leftOut(): LeftOut | undefined {
    return this.#leftOut;
  }

  /** Last transaction that another program wrote, while no snapshot of ours makes up for what it may have torn. */
  get snapshotOwedFor(): TXID | undefined {
    return this.#takenOver.owed;
  }

  /** A snapshot taken by `snapshot` is on the replica. */
  snapshotKept(): void {
    this.#takenOver.settle();
  }

  /** Called after each new level-0 file. Returns what ends it. */
  onChange(listener: (position: Position) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Called after each checkpoint. Returns what ends it. */
  onCheckpoint(listener: (checkpoint: Checkpoint) => void): () => void {
    return this.#checkpointListeners.add(listener);
  }

  /** Called each time all pages were compared with what was replicated, and were equal. Returns what ends it. */
  onProof(listener: (proof: PageProof) => void): () => void {
    return this.#proofListeners.add(listener);
  }

  /** The local files of a level. */
  localLtx(level: number): LocalLtx {
    return this.#levels.at(level);
  }

  /**
   * The whole database at one transaction, as an LTX file from TXID 1, while writers go on. The file is made on the disk
   * first where there is ample room, and otherwise from the database each time it is read; either way an upload can start
   * again from the first byte. Dispose of the stream: it removes the file, or ends the read transaction.
   */
  async snapshot(options: Op = {}): Promise<SnapshotStream> {
    this.#requireOpen('snapshot');
    const place = { metaPath: this.metaPath, stagingPath: this.#stagingPath, options: this.#options };
    return takeSnapshot({ ...this.#contexts.state('snapshot', options), ...place });
  }

  /** Compares all pages with what was replicated. Rejects with `DATABASE_CHANGED` if they differ: the next sync takes those. */
  async comparePages(options: Op = {}): Promise<ComparedPages> {
    this.#requireOpen('comparePages');
    return await comparePages(this.#contexts.state('comparePages', options));
  }

  status(): DbStatus {
    return {
      state: stateOf(this.#opened, this.#inUse !== undefined, this.#session !== undefined),
      holder: this.#inUse?.holder,
      waitingFor: this.#arrival.reason,
      position: this.#position,
      pageSize: this.pageSize,
      walSize: this.#session?.last?.endOffset ?? 0,
      lastSyncAt: this.#record.lastSyncAt,
      lastLookAt: this.#record.lastLookAt,
      lastError: this.#record.lastError,
      proof: this.#ledger.proof,
      isComparisonDue: this.#session?.isComparisonDue ?? false,
      activity: this.#record.activity.last,
      totals: this.#record.totals.totals,
    };
  }

  /**
   * Ends monitoring and closes the database. Where no other program reads or writes meanwhile, everything is moved to the
   * database file first, and the WAL is emptied: a copy of the file alone is complete, and the next start goes on from it.
   */
  async close(): Promise<void> {
    if (!this.#opened) return;
    this.#opened = false;
    await this.#follow.stop();
    await this.#mutex.run(async () => {
      const session = this.#session;
      this.#session = undefined;
      if (session !== undefined) await closeSession(session, { keepsWal: !(await this.#bringToRest(session)) });
      this.#inUse = undefined;
      this.#ledger.rest(0);
      this.#lock.release();
      this.#arrival.close();
    });
  }

  async #bringToRest(session: Session): Promise<boolean> {
    if (!isAtPath(session.descriptor, this.path)) return false;
    return await bringToRestOrLeave(this.#contexts.checkpoint(session, {}), this.metaPath);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #requireOpen(operation: string): void {
    if (this.#opened) return;
    throw notOpenError(this.path, operation);
  }

  /** Cheap; asked at every sweep. */
  #mayHaveWork(): boolean {
    if (this.#arrival.mayHaveSettled() || this.#marker.mayHaveChanged()) return true;
    this.#session?.connections.rest();
    this.#ledger.rest();
    this.#record.looked();
    if (this.#comparison.isWaiting) return true;
    return this.#session !== undefined && checkpointIsDue(this.#session, this.#options);
  }

  /** The open database file; undefined while there is none. Inside the mutex. */
  async #openSession(options: OpenOptions): Promise<Session | undefined> {
    const current = this.#session;
    if (current !== undefined) {
      if (isAtPath(current.descriptor, this.path)) return current;
      this.#moved.notice(current, this.#logger);
      await readToEnd(this.#contexts.sync(current, options), (txid) => this.#publish(txid), options.signal);
      await this.#closeSession(current);
    }
    this.#session = await this.#openOrStandBy(options);
    if (this.#session === undefined) return undefined;
    const { txid, otherProgram, ownership } = this.#session;
    this.#takenOver.opened(otherProgram ? txid : undefined, ownership);
    this.#generation += 1;
    this.#baseline = txid;
    // Listeners hear of a position that was found later than `open`, too: a replica may have to catch up with it. The
    // same number may stand for another transaction now.
    if (txid !== this.#position.txid || (txid > 0n && this.#generation > 1)) this.#publish(txid);
    return this.#session;
  }

  /** Inside the mutex. Rejects with `DATABASE_IN_USE` while another Litestream holds the lock of the metadata folder. */
  async #openOrStandBy({ signal, patienceMs }: OpenOptions): Promise<Session | undefined> {
    const { path, metaPath } = this;
    const seen = { lock: this.#lock, arrival: this.#arrival, times: this.#times };
    const parts = { ...seen, options: this.#options, history: this.#history };
    try {
      const session = await openSession({ path, metaPath, ...parts, logger: this.#logger, signal, patienceMs });
      if (this.#inUse !== undefined && session !== undefined)
        this.#logger.info('taking over from the other litestream');
      this.#inUse = undefined;
      return session;
    } catch (error) {
      if (isInUse(error)) this.#standBy(error);
      else this.#inUse = undefined;
      throw error;
    }
  }

  #standBy(error: DatabaseInUseError): void {
    if (this.#inUse === undefined) {
      this.#logger.warn('another litestream replicates this database, standing by', { ...error.holder });
      // What this one knew of the folder is of no more use: the other one writes there.
      if (this.#position.txid > 0n) this.#generation += 1;
      this.#position = { txid: 0n };
      this.#baseline = 0n;
    }
    this.#inUse = error;
    this.#record.lastError = error;
  }

  /** Inside the mutex. */
  async #requireSession(operation: string, options: Op): Promise<Session> {
    const session = await this.#openSession(options);
    if (session !== undefined) return session;
    throw this.#arrival.notReady(operation) ?? missingError(this.path, operation);
  }

  /** Inside the mutex, after a sync. */
  #requireSeen({ requires }: SyncOptions): void {
    if (requires === undefined) return;
    if (requires === 'file') this.#moved.requireNoneLost('replicated');
    if (this.#session !== undefined && isAtPath(this.#session.descriptor, this.path)) return;
    const operation = requires === 'file' ? 'replicated' : 'sync';
    this.#arrival.requireReady(operation);
    if (requires === 'file' && this.#position.txid > 0n) throw missingError(this.path, operation);
  }

  /** Inside the mutex. */
  async #syncOnce(options: OpenOptions): Promise<SyncOutcome> {
    const startedAtMs = performance.now();
    let failed = false;
    let isOurs = true;
    try {
      this.#requireOpen('sync');
      this.#record.activity.begin('sync');
      this.#marker.mark();
      const session = await this.#openSession(options);
      if (session === undefined) {
        if (this.#arrival.reason === undefined) this.#logger.debug('sync: no database found');
        this.#record.activity.end();
        return { kind: 'nothing' };
      }
      this.#record.activity.enter('verify_and_sync');
      const outcome = await this.#syncChecked(session, options);
      this.#record.activity.enter('checkpoint_if_needed');
      const context = this.#contexts.checkpoint(session, options);
      await withSight(context.syncContext, () => checkpointIfDue(context, outcome));
      recordFile(context.syncContext);
      if (outcome.kind === 'written') movePinAfterSync(session);
      if (this.#follow.isRunning) this.#comparison.request();
      this.#record.activity.enter('update_metrics');
      this.#record.activity.end();
      this.#record.lastError = undefined;
      return outcome;
    } catch (caught) {
      if (this.#session !== undefined && !isAtPath(this.#session.descriptor, this.path)) {
        // Deleted under our hands: the next look sees that it is gone.
        this.#logger.debug('sync: database was removed', { error: caught });
        this.#record.activity.end();
        return { kind: 'nothing' };
      }
      // Another process wrote the next file: the next sync begins with what is there then.
      if (hasCode(caught, 'ALREADY_EXISTS') && this.#session !== undefined) await this.#closeSession(this.#session);
      isOurs = !isInUse(caught);
      const error = localFault(caught, this.metaPath);
      this.#record.activity.end(error);
      this.#record.lastError = error;
      failed = true;
      throw error;
    } finally {
      if (isOurs) this.#record.totals.addSync(performance.now() - startedAtMs, failed);
    }
  }

  /** What is in the WAL stays there. The next look opens the database again, whether or not it changes. */
  async #closeSession(session: Session): Promise<void> {
    if (this.#session === session) this.#session = undefined;
    await closeSession(session, { keepsWal: true });
    this.#marker.forget();
    this.#follow.wake();
  }

  /** Another copy of SQLite that is found late ends all work on the database: the two do not see each other's locks. */
  async #syncChecked(session: Session, options: Op): Promise<SyncOutcome> {
    this.#libraries.check();
    return await traced(
      'sync',
      () => ({ path: this.path }),
      () => this.#syncSession(session, options),
    );
  }

  async #syncSession(session: Session, options: Op): Promise<SyncOutcome> {
    const outcome = await syncSession(this.#contexts.sync(session, options));
    this.#record.synced();
    return outcome;
  }

  #publish(txid: TXID): void {
    this.#position = { txid };
    this.#listeners.tell(this.#position);
  }
}
