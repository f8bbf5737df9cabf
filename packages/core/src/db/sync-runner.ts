import type { TXID } from '@litestream/ltx';
import type { Op } from '../storage/contract/contract.ts';
import { hasCode } from '../util/error.ts';
import { traced } from '../util/tracing.ts';
import { LibraryWatch } from '../sqlite/driver/library-watch.ts';
import type { CheckpointMode } from '../sqlite/checkpoint/checkpoint-call.ts';
import { localFileError } from '../local-ltx/local-file-errors.ts';
import { isInUse } from './metadata/metadata-lock-errors.ts';
import { movePinAfterSync, tend } from './session/pin.ts';
import type { OpenOptions, Position, SyncOptions } from './session/options.ts';
import type { Session } from './session/session.ts';
import { checkPages } from './sync/check-pages.ts';
import { drainWal } from './sync/drain-wal.ts';
import { syncVisible, type SyncOutcome } from './sync/sync.ts';
import { recordFile, syncSession, withFaultCheck } from './sync/sync-session.ts';
import { BackgroundComparison } from './snapshot/background-comparison.ts';
import { comparePages, type ComparedPages } from './snapshot/compare-pages.ts';
import type { StateContext } from './snapshot/fixed-state.ts';
import { takeSnapshot, type SnapshotStream } from './snapshot/snapshot.ts';
import { checkpointIfDue, checkpointNow } from './checkpoint/checkpoint.ts';
import { checkpointIsDue, quietInMs } from './checkpoint/checkpoint-due.ts';
import { bringToRestOrLeave } from './open/rest.ts';
import { Contexts } from './contexts.ts';
import type { DbContext } from './db-context.ts';
import type { SessionKeeper } from './session-keeper.ts';

/** Runs the work on the database file that is open: syncs, checkpoints, snapshots, comparisons. */
export class SyncRunner {
  readonly #context: DbContext;
  readonly #keeper: SessionKeeper;
  readonly #contexts: Contexts;
  readonly #libraries: LibraryWatch;
  readonly #comparison: BackgroundComparison;
  readonly #isMonitored: () => boolean;

  /** `isMonitored`: syncs follow by themselves, so pages may be compared in the background. */
  constructor(context: DbContext, keeper: SessionKeeper, isMonitored: () => boolean) {
    this.#context = context;
    this.#keeper = keeper;
    this.#isMonitored = isMonitored;
    this.#contexts = new Contexts(context, keeper);
    this.#libraries = new LibraryWatch(() => keeper.file, context.options.driver);
    this.#comparison = new BackgroundComparison({
      logger: context.logger,
      compare: () => this.comparePages({}),
      isDue: () => this.isComparisonDue,
    });
  }

  /** All pages must be compared; see `DbStatus`. */
  get isComparisonDue(): boolean {
    return this.#keeper.session?.isComparisonDue ?? false;
  }

  /** Takes what is visible by now into level-0 files. */
  sync(options: SyncOptions): Promise<SyncOutcome> {
    const { mutex } = this.#context;
    const syncOnce = async (): Promise<SyncOutcome> => {
      const outcome = await this.#syncOnce(options);
      // Before any other check of the path, which may find a file that this sync could not read.
      this.#keeper.requireSeen(options);
      return outcome;
    };
    return syncVisible(() => mutex.run(syncOnce, options.signal));
  }

  /** Takes every page into the next level-0 file, whose TXID is above `above`. */
  syncWhole(reason: string, { above = 0n, signal }: { readonly above?: TXID | undefined } & Op): Promise<Position> {
    const { mutex, position } = this.#context;
    return mutex.run(async () => {
      const session = await this.#keeper.require('sync', { signal });
      session.apply({ kind: 'disproven', reason, isWhole: true });
      session.raise(above);
      await this.#syncSession(session, { signal });
      return position.last;
    }, signal);
  }

  /** Syncs, then checkpoints. Rejects with `DATABASE_BUSY` if the database cannot be locked. */
  async checkpoint(mode: CheckpointMode, options: Op): Promise<void> {
    await this.#context.mutex.run(async () => {
      const session = await this.#keeper.open(options);
      if (session === undefined) return;
      await syncVisible(() => this.#syncSession(session, options));
      const context = this.#contexts.checkpoint(session, options);
      await withFaultCheck(context.syncContext, () => checkpointNow(context, mode));
      recordFile(context.syncContext);
    }, options.signal);
  }

  snapshot(options: Op): Promise<SnapshotStream> {
    const { metaPath, stagingPath, options: dbOptions } = this.#context;
    return takeSnapshot({ ...this.#stateOf('snapshot', options), metaPath, stagingPath, options: dbOptions });
  }

  async comparePages(options: Op): Promise<ComparedPages> {
    this.#keeper.requireAdmitted('comparePages');
    return await comparePages(this.#stateOf('comparePages', options));
  }

  /** See `DB.tend`. */
  tend(): Promise<boolean> {
    const { mutex, options } = this.#context;
    return mutex.run(() => {
      const { session } = this.#keeper;
      return Promise.resolve(session !== undefined && tend(session, options));
    });
  }

  /** Takes what was committed to a file that is not at the path any more into level-0 files. Never rejects. */
  async drainWal(session: Session, options: Op): Promise<void> {
    const context = this.#contexts.sync(session, options);
    await drainWal(context, context.publish, options.signal);
  }

  /** Moves everything to the database file and empties the WAL; false if the WAL must stay. Never rejects. */
  async bringToRest(session: Session): Promise<boolean> {
    return await bringToRestOrLeave(this.#contexts.checkpoint(session, {}), this.#context.metaPath);
  }

  /** Cheap; asked at every sweep. */
  mayHaveWork(): boolean {
    const { marker, ledger, record, options } = this.#context;
    if (this.#keeper.mayHaveSettled() || marker.mayHaveChanged()) return true;
    const { session } = this.#keeper;
    session?.connections.rest();
    ledger.rest();
    record.looked();
    if (this.#comparison.isWaiting) return true;
    return session !== undefined && checkpointIsDue(session, options);
  }

  /** In how many milliseconds a quiet database is checkpointed; undefined if it need not be. */
  quietInMs(): number | undefined {
    const { session } = this.#keeper;
    return session === undefined ? undefined : quietInMs(session, this.#context.options);
  }

  /** Inside the mutex. */
  async #syncOnce(options: OpenOptions): Promise<SyncOutcome> {
    const { logger, marker, metaPath, record } = this.#context;
    const { activity } = record;
    const startedAtMs = performance.now();
    let failed = false;
    let isOurs = true;
    try {
      this.#keeper.requireAdmitted('sync');
      activity.begin('sync');
      marker.mark();
      const session = await this.#keeper.open(options);
      if (session === undefined) {
        if (this.#keeper.waitingFor === undefined) logger.debug('sync: no database found');
        activity.end();
        return { kind: 'nothing' };
      }
      activity.enter('verify_and_sync');
      const outcome = await this.#syncChecked(session, options);
      activity.enter('checkpoint_if_needed');
      const context = this.#contexts.checkpoint(session, options);
      await withFaultCheck(context.syncContext, () => checkpointIfDue(context, outcome));
      recordFile(context.syncContext);
      if (outcome.kind === 'written') movePinAfterSync(session);
      if (this.#isMonitored()) this.#comparison.request();
      activity.enter('update_metrics');
      activity.end();
      record.lastError = undefined;
      return outcome;
    } catch (caught) {
      if (this.#keeper.isRemoved) {
        // Deleted while it was read: the next look sees that it is gone.
        logger.debug('sync: database was removed', { error: caught });
        activity.end();
        return { kind: 'nothing' };
      }
      const { session } = this.#keeper;
      // Another process wrote the next file: the next sync begins with what is there then.
      if (hasCode(caught, 'ALREADY_EXISTS') && session !== undefined) await this.#keeper.close(session);
      isOurs = !isInUse(caught);
      const error = localFileError(caught, metaPath);
      activity.end(error);
      record.lastError = error;
      failed = true;
      throw error;
    } finally {
      if (isOurs) record.totals.addSync(performance.now() - startedAtMs, failed);
    }
  }

  /** Another copy of SQLite that is found late ends all work on the database: the two do not see each other's locks. */
  async #syncChecked(session: Session, options: Op): Promise<SyncOutcome> {
    this.#libraries.check();
    return await traced(
      'sync',
      () => ({ path: this.#context.path }),
      () => this.#syncSession(session, options),
    );
  }

  async #syncSession(session: Session, options: Op): Promise<SyncOutcome> {
    const outcome = await syncSession(this.#contexts.sync(session, options));
    this.#context.record.synced();
    return outcome;
  }

  /** For work that reads all pages while writers continue. */
  #stateOf(operation: string, op: Op): StateContext {
    const { options, logger, mutex } = this.#context;
    const keeper = this.#keeper;
    return {
      lock: (body) => mutex.run(body, op.signal),
      prepare: () => keeper.require(operation, op),
      sync: (session) => this.#syncSession(session, op),
      checkPages: (seen, pages) =>
        mutex.run(() => checkPages(this.#contexts.sync(seen.session, {}), keeper.session, seen.last, pages)),
      busyTimeoutMs: options.busyTimeoutMs,
      logger,
      signal: op.signal,
    };
  }
}
