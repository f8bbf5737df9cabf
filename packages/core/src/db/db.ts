import type { TXID } from '@litestream/ltx';
import type { Op } from '../storage/contract/contract.ts';
import type { CheckpointMode } from '../sqlite/checkpoint/checkpoint-call.ts';
import type { LocalLtx } from '../local-ltx/local-ltx.ts';
import type { PageProof } from '../ledger/ledger.ts';
import { isInUse } from './metadata/metadata-lock-errors.ts';
import type { DbOptions, History, Position, SyncOptions } from './session/options.ts';
import type { Checkpoint, DbStatus } from './status/db-status.ts';
import type { LeftOut } from './sync/sync-context.ts';
import type { ComparedPages } from './snapshot/compare-pages.ts';
import type { SnapshotStream } from './snapshot/snapshot.ts';
import { Monitor } from './monitor/monitor.ts';
import type { FilesInFlight } from './monitor/upload-backlog.ts';
import { DbContext } from './db-context.ts';
import { SessionKeeper } from './session-keeper.ts';
import { SyncRunner } from './sync-runner.ts';

/**
 * One SQLite database that is monitored: each batch of commits in its WAL becomes one immutable level-0 file in its local
 * folder. Knows nothing of replicas except `History`, which it asks whenever it opens a file at the path. All work that changes
 * the position runs one at a time, in the order of the calls.
 */
export class DB implements AsyncDisposable {
  readonly path: string;
  readonly metaPath: string;
  readonly #context: DbContext;
  readonly #keeper: SessionKeeper;
  readonly #runner: SyncRunner;
  readonly #follow: Monitor;

  constructor(path: string, options: DbOptions = {}) {
    const context = new DbContext(path, options);
    this.path = path;
    this.metaPath = context.metaPath;
    this.#context = context;
    this.#keeper = new SessionKeeper(context, {
      drainWal: (session, op) => this.#runner.drainWal(session, op),
      onClosed: () => this.#follow.wake(),
    });
    this.#runner = new SyncRunner(context, this.#keeper, () => this.#follow.isRunning);
    this.#follow = new Monitor({
      pathOf: () => this.#keeper.file,
      options: context.options,
      logger: context.logger,
      sync: async () => {
        const before = this.position.txid;
        return (await this.sync()).txid !== before;
      },
      mayHaveWork: () => this.#runner.mayHaveWork(),
      quietInMs: () => this.#runner.quietInMs(),
      tend: () => this.tend(),
      isBacklogFull: () => context.uploads.isFull,
    });
  }

  /** Last durable level-0 file. */
  get position(): Position {
    return this.#context.position.last;
  }

  /** The highest TXID that was known, here or on a replica that answered, when the database file was last opened. */
  get baseline(): TXID {
    return this.#context.position.baseline;
  }

  /** How often a database file was opened here: one that took the place of another may have another history. */
  get generation(): number {
    return this.#context.position.generation;
  }

  /** Of the database file; undefined while none is open. */
  get inode(): bigint | undefined {
    return this.#keeper.session?.descriptor.inode;
  }

  /** Bytes. */
  get pageSize(): number | undefined {
    return this.#keeper.session?.pageSize;
  }

  /**
   * Opens the database and recovers the position, if the file exists and is ready; otherwise it is picked up when it is.
   * While another Litestream replicates it, this one stands by, and takes over when that one ends. Rejects for what waiting
   * cannot repair (`DATABASE_INVALID`, `PERMISSION_DENIED`, `UNSUPPORTED`), and with the failure of `history`.
   */
  async open(options: { history?: History | undefined } & Op = {}): Promise<void> {
    if (!this.#keeper.admit(options.history)) return;
    try {
      await this.#context.mutex.run(() => this.#keeper.open(options), options.signal);
    } catch (error) {
      if (isInUse(error)) return;
      this.#keeper.abandon();
      throw error;
    }
  }

  /** Follows the database by itself from now on: at once when it changes, and at `monitorIntervalMs` to be sure. */
  start(): void {
    this.#keeper.requireAdmitted('start');
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
    this.#keeper.requireAdmitted('sync');
    await this.#runner.sync(options);
    return this.position;
  }

  /**
   * Takes every page of the database into the next level-0 file, whatever changed. Put behind the files of another history
   * it makes this database of them. Its TXID is above `above`, if that is given. Rejects with `DATABASE_MISSING` while there
   * is none, and with `DATABASE_NOT_READY` while it may not be opened.
   */
  async syncWhole(reason: string, options: { readonly above?: TXID | undefined } & Op = {}): Promise<Position> {
    this.#keeper.requireAdmitted('sync');
    return await this.#runner.syncWhole(reason, options);
  }

  /** Syncs, then moves the pages in the WAL into the database file. Rejects with `DATABASE_BUSY` if it cannot be locked. */
  async checkpoint(mode: CheckpointMode, options: Op = {}): Promise<void> {
    this.#keeper.requireAdmitted('checkpoint');
    await this.#runner.checkpoint(mode, options);
  }

  /**
   * What is to be done between two syncs of a database that is being written to: makes room for the application's own
   * checkpoints. Cheap. Resolves to true if so much was written that the next sync should not wait.
   */
  async tend(): Promise<boolean> {
    return await this.#runner.tend();
  }

  /** The last transaction that has no local file because there was no room. */
  get leftOut(): LeftOut | undefined {
    return this.#context.position.leftOut;
  }

  /** Last transaction that another program wrote, while no snapshot of ours makes up for what it may have torn. */
  get snapshotOwedFor(): TXID | undefined {
    return this.#context.takenOver.owed;
  }

  /** A snapshot taken by `snapshot` is on the replica. */
  snapshotKept(): void {
    this.#context.takenOver.settle();
  }

  /** Called after each new level-0 file. Returns what ends it. */
  onChange(listener: (position: Position) => void): () => void {
    return this.#context.position.onChange(listener);
  }

  /**
   * Makes the monitor wait for uploads: while every replica that was added has several files to upload, the next file waits for
   * at most ten seconds. Returns a function that removes the replica.
   */
  awaitUploads(filesInFlight: FilesInFlight): () => void {
    return this.#context.uploads.add(filesInFlight);
  }

  /** Called after each checkpoint. Returns what ends it. */
  onCheckpoint(listener: (checkpoint: Checkpoint) => void): () => void {
    return this.#context.checkpoints.add(listener);
  }

  /** Called each time all pages were compared with what was replicated, and were equal. Returns what ends it. */
  onProof(listener: (proof: PageProof) => void): () => void {
    return this.#context.proofs.add(listener);
  }

  /** The local files of a level. */
  localLtx(level: number): LocalLtx {
    return this.#context.levels.at(level);
  }

  /**
   * The whole database at one transaction, as an LTX file from TXID 1, while writers go on. The file is made on the disk
   * first where there is ample room, and otherwise from the database each time it is read; either way an upload can start
   * again from the first byte. Dispose of the stream: it removes the file, or ends the read transaction.
   */
  async snapshot(options: Op = {}): Promise<SnapshotStream> {
    this.#keeper.requireAdmitted('snapshot');
    return await this.#runner.snapshot(options);
  }

  /** Compares all pages with what was replicated. Rejects with `DATABASE_CHANGED` if they differ: the next sync takes those. */
  async comparePages(options: Op = {}): Promise<ComparedPages> {
    return await this.#runner.comparePages(options);
  }

  status(): DbStatus {
    const { ledger, record } = this.#context;
    return {
      state: this.#keeper.status,
      holder: this.#keeper.holder,
      waitingFor: this.#keeper.waitingFor,
      position: this.position,
      pageSize: this.pageSize,
      walSize: this.#keeper.session?.last?.endOffset ?? 0,
      lastSyncAt: record.lastSyncAt,
      lastLookAt: record.lastLookAt,
      lastError: record.lastError,
      proof: ledger.proof,
      isComparisonDue: this.#runner.isComparisonDue,
      activity: record.activity.last,
      totals: record.totals.totals,
    };
  }

  /**
   * Ends monitoring and closes the database. Where no other program reads or writes meanwhile, everything is moved to the
   * database file first, and the WAL is emptied: a copy of the file alone is complete, and the next start goes on from it.
   */
  async close(): Promise<void> {
    if (!this.#keeper.refuse()) return;
    await this.#follow.stop();
    await this.#context.mutex.run(() => this.#keeper.end((session) => this.#runner.bringToRest(session)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
