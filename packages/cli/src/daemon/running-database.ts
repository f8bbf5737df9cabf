/** A database with its replicas while it is replicated, from opening to the last sync. */
import { basename } from 'node:path';
import { DB, LitestreamError, hasCode } from '@litestream/core';
import type { Logger, StopOptions, TXID } from '@litestream/core';
import { openReplicas } from '../databases/replicas.ts';
import type { OpenReplicas } from '../databases/replicas.ts';
import { checkReplicaFolder } from './services/replica-folder.ts';
import type { SingleDatabase } from '../databases/directory.ts';
import { BacklogWatch } from './backlog-watch.ts';
import { DatabaseOpening } from './database-opening.ts';
import { dbOptionsOf } from './db-options.ts';
import { FarthestTimeline } from './services/joint-history.ts';
import { Leases } from './leases.ts';
import { RunningReplica } from './running-replica.ts';
import { warnIfMissing } from './services/missing-database.ts';
import type { Services } from './services/services.ts';
import { backendOf } from './services/backend-stores.ts';

/** `-once` has no later attempt, so it waits longer than any file has to be quiet. */
const ONCE_PATIENCE_MS = 40_000;

export class RunningDatabase {
  readonly path: string;
  readonly db: DB;
  readonly replicas: readonly RunningReplica[];
  readonly #clients: OpenReplicas;
  readonly #leases: Leases;
  readonly #services: Services;
  readonly #logger: Logger;
  readonly #lifetime = new AbortController();
  readonly #opening: DatabaseOpening;
  #started = false;
  #rejoining: Promise<void> | undefined;
  #missing: Disposable | undefined;

  private constructor(database: SingleDatabase, clients: OpenReplicas, services: Services) {
    this.path = database.path;
    this.#clients = clients;
    const logger = services.logger.child({ system: 'store' });
    this.#logger = logger.child({ db: basename(database.path) });
    this.db = new DB(database.path, dbOptionsOf(database, services, { store: logger, database: this.#logger }));
    this.#services = services;
    this.replicas = clients.all.map((open) => {
      const replica: RunningReplica = new RunningReplica(open, this.db, services, {
        stagingPath: database.stagingPath,
        onError: (error) => this.#replicaFailed(replica, error),
        onLease: ({ state, error }) => {
          if (state === 'lost') services.onLeaseLost(error);
        },
      });
      return replica;
    });
    this.#leases = new Leases(database, this.replicas, { services, logger: this.#logger });
    this.#opening = new DatabaseOpening({
      open: () => this.#open(),
      onOpened: () => {
        if (this.#started) this.#start();
      },
      leases: this.#leases,
      logger: this.#logger,
      signal: this.#lifetime.signal,
    });
    if (this.replicas.length > 1) {
      const backlog = new BacklogWatch(this.db, this.replicas, services.config);
      this.db.onChange(() => backlog.look());
    }
  }

  /** Makes it, and the clients of its replicas; nothing is opened yet. */
  static async create(database: SingleDatabase, services: Services): Promise<RunningDatabase> {
    const { logger, onOperation, registry } = services;
    const { path, stagingPath } = database;
    const own = { onOperation, logger: logger.child({ db: basename(path) }) };
    const clients = await openReplicas(database.replicas, registry, path, own, stagingPath);
    return new RunningDatabase(database, clients, services);
  }

  /**
   * Opens the database. Rejects if it cannot be replicated at all, or with any failure if `once`; what may pass is tried again
   * from then on.
   */
  async open({ once }: { readonly once: boolean }): Promise<void> {
    this.#checkFolders();
    this.#leases.requireSupport();
    if (this.#leases.isAny && !once) {
      this.#opening.begin();
      return;
    }
    try {
      await this.#open({ once });
    } catch (error) {
      if (once || !this.#opening.retryAfter(error)) throw error;
    }
  }

  /** Follows and uploads from now on, or from when it could be opened. */
  start(): void {
    this.#started = true;
    if (!this.#opening.isPending) this.#start();
  }

  /**
   * Takes everything committed by now into local files and, with `upload`, to every replica. Rejects if one of them does
   * not take it, after the others had their turn.
   */
  async sync({ upload, signal }: { readonly upload: boolean; readonly signal?: AbortSignal }): Promise<void> {
    await this.#rejoining;
    if (this.#opening.isPending) {
      const error: unknown = this.#opening.error ?? this.#leases.waitError;
      throw error;
    }
    if (upload) throwAll(await Promise.allSettled(this.replicas.map(({ replica }) => replica.replicated({ signal }))));
    else await this.db.sync({ signal });
    const { waitingFor } = this.db.status();
    if (waitingFor !== undefined) throw notReady(this.path, waitingFor);
  }

  /** Everything committed by now goes to every replica, then a snapshot and retention where asked for. */
  async syncOnce(): Promise<void> {
    const { txid } = await this.db.sync({ patienceMs: ONCE_PATIENCE_MS });
    const { waitingFor } = this.db.status();
    if (waitingFor !== undefined) throw notReady(this.path, waitingFor);
    if (txid === 0n) {
      throw new LitestreamError(`there is no database to replicate: ${this.path}`, {
        code: 'DATABASE_MISSING',
        hint: 'Check the path.',
      });
    }
    await this.#upload();
    if (!this.db.status().isComparisonDue) return;
    // Only now: a comparison that fails must not keep commits from the replicas.
    await this.#comparePages();
    await this.#upload();
  }

  async #upload(): Promise<void> {
    throwAll(await Promise.allSettled(this.replicas.map(({ replica }) => replica.sync())));
  }

  /** A daemon does this in the background. */
  async #comparePages(): Promise<void> {
    try {
      await this.db.comparePages();
    } catch (error) {
      if (!hasCode(error, 'DATABASE_CHANGED')) throw error;
      this.#logger.warn('the next file has the pages that differ', { error });
    }
    await this.db.sync();
  }

  async snapshot(): Promise<void> {
    for (const { stored } of this.replicas) await stored.snapshot();
  }

  /** Removes what the retention of the config does not keep. */
  async enforceRetention(): Promise<void> {
    for (const { stored } of this.replicas) await stored.enforceSnapshotRetention();
  }

  /** The last transaction that every replica has. */
  get replicatedTxid(): TXID {
    const positions = this.replicas.map(({ replica }) => replica.position.txid);
    return positions.reduce((lowest, txid) => (txid < lowest ? txid : lowest));
  }

  /** Resolves once the database is open under its leases; at once if it has none. Rejects if it cannot be opened. */
  get promoted(): Promise<void> {
    return this.#leases.opened;
  }

  /** Why it cannot be opened, the database cannot be read, or a replica does not take its files. */
  get lastError(): unknown {
    if (this.#opening.isPending) return this.#opening.isWaitingForLease ? undefined : this.#opening.error;
    return this.db.status().lastError ?? this.replicas.map((each) => each.report().lastError).find(Boolean);
  }

  /** Last sync, then everything is closed. Rejects if that failed, or if the database could not be opened for it. */
  async stop(options: StopOptions): Promise<void> {
    // While another process has the lease, this process has nothing to upload.
    const isWaiting = this.#opening.isWaitingForLease;
    this.#lifetime.abort();
    await this.#rejoining;
    await this.#opening.idle();
    let isSent = false;
    try {
      await this.db.stop();
      // While another Litestream replicates the database there is nothing of ours to send.
      const stopOptions = (await this.#isStandby()) ? { ...options, finalSync: false } : options;
      throwAll(await Promise.allSettled(this.replicas.map((each) => each.stop(stopOptions))));
      // It could never be opened, so there was no last sync.
      if (this.#opening.isPending && !isWaiting) throw this.#opening.error;
      isSent = true;
    } finally {
      await this.close({ keepLeases: !isSent && !this.#opening.isPending });
    }
  }

  /** Looks again if it was a standby: the other Litestream may have ended since, and left commits to send. */
  async #isStandby(): Promise<boolean> {
    const isStandby = (): boolean => this.db.status().state === 'standby';
    // The last sync meets the same failure, and reports it.
    if (isStandby()) await this.db.sync().catch(() => undefined);
    return isStandby();
  }

  /**
   * `keepLeases`: some commits were not uploaded. The next process on this database has the term of the leases to upload them.
   */
  async close({ keepLeases }: { readonly keepLeases: boolean } = { keepLeases: false }): Promise<void> {
    this.#missing?.[Symbol.dispose]();
    await this.db.close();
    await this.#leases.end({ keep: keepLeases });
    await this.#clients[Symbol.asyncDispose]();
  }

  #start(): void {
    this.#missing = warnIfMissing(this.path, this.#logger);
    this.db.start();
    for (const replica of this.replicas) replica.start();
  }

  /** A replica folder that can never be written to is refused, unless there is another replica to go on with. */
  #checkFolders(): void {
    const failures: unknown[] = [];
    for (const { open } of this.replicas) {
      try {
        if (open.folder !== undefined) checkReplicaFolder(open.folder);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === this.replicas.length) throw failures[0];
  }

  async #open({ once }: { readonly once: boolean } = { once: false }): Promise<void> {
    const { signal } = this.#lifetime;
    await this.#leases.take({ once, signal });
    const parts = this.replicas.map(({ replica, open }) => ({
      history: replica,
      backend: open.config.type === 'file' ? undefined : backendOf(open.config),
    }));
    await this.db.open({ history: new FarthestTimeline(parts, this.#services.breaker), signal });
    try {
      await this.#leases.meet(signal);
    } catch (error) {
      await this.db.close();
      throw error;
    }
  }

  /** An upload failed; it is tried again by itself. */
  #replicaFailed(failed: RunningReplica, error: unknown): void {
    if (!hasCode(error, 'REPLICA_AHEAD') || failed.replica.isKnown) return;
    this.#rejoining ??= this.#rejoin(failed).finally(() => (this.#rejoining = undefined));
  }

  /**
   * A replica that could not be asked when the database was opened reaches farther than the database: its local state
   * was lost, or it was restored. As if it had answered then, the database goes on above it.
   */
  async #rejoin({ open }: RunningReplica): Promise<void> {
    if (this.#lifetime.signal.aborted) return;
    this.#logger.info('replica is ahead of the database, reopening the database to continue above the replica', {
      replica: open.text,
    });
    this.#services.breaker?.reset(backendOf(open.config));
    try {
      await this.db.close();
      await this.#open();
      if (this.#started) this.db.start();
    } catch (error) {
      if (!this.#lifetime.signal.aborted) this.#opening.retry(error);
    }
  }
}

/** There is a file that is not opened yet: what is in it is not replicated. */
function notReady(path: string, reason: string): LitestreamError {
  return new LitestreamError(`the database is not ready: ${reason}: ${path}`, {
    code: 'DATABASE_NOT_READY',
    retryable: true,
    hint: 'It is replicated once it is whole, has a table, and no other program writes to the file.',
  });
}

function throwAll(results: readonly PromiseSettledResult<unknown>[]): void {
  const failures = results.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures);
}
