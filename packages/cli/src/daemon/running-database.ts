/** A database of the config while it is replicated, from opening to the last sync. */
import { basename } from 'node:path';
import { LitestreamError, hasCode } from '@litestream/core';
import type { DB, Logger, StopOptions, TXID } from '@litestream/core';
import { openReplicas } from '../databases/replicas.ts';
import type { OpenReplicas } from '../databases/replicas.ts';
import { checkReplicaFolder } from './services/replica-folder.ts';
import type { SingleDatabase } from '../databases/directory.ts';
import { composeFromConfig } from './compose-from-config.ts';
import type { ComposedDatabase } from './compose-from-config.ts';
import type { RunningReplica } from './running-replica.ts';
import { warnIfMissing } from './services/missing-database.ts';
import type { Services } from './services/services.ts';

/** `-once` has no later attempt, so it waits longer than any file has to be quiet. */
const ONCE_PATIENCE_MS = 40_000;
/** `-once` waits for the lease of a killed holder to expire. It does not wait for a holder that renews. */
const ONCE_TERMS = 2.2;

export class RunningDatabase {
  readonly path: string;
  readonly #clients: OpenReplicas;
  readonly #composed: ComposedDatabase;
  readonly #logger: Logger;
  #missing: Disposable | undefined;

  private constructor(database: SingleDatabase, clients: OpenReplicas, services: Services) {
    this.path = database.path;
    this.#clients = clients;
    this.#logger = services.logger.child({ system: 'store' }).child({ db: basename(database.path) });
    this.#composed = composeFromConfig(database, clients.all, {
      services,
      logger: this.#logger,
      onStart: () => (this.#missing = warnIfMissing(this.path, this.#logger)),
    });
  }

  /** Makes it, and the clients of its replicas; nothing is opened yet. */
  static async create(database: SingleDatabase, services: Services): Promise<RunningDatabase> {
    const { logger, onOperation, registry } = services;
    const { path, stagingPath } = database;
    const own = { onOperation, logger: logger.child({ db: basename(path) }) };
    const clients = await openReplicas(database.replicas, registry, path, own, stagingPath);
    return new RunningDatabase(database, clients, services);
  }

  get db(): DB {
    return this.#composed.replication.db;
  }

  get replicas(): readonly RunningReplica[] {
    return this.#composed.replicas;
  }

  /**
   * Opens the database. Rejects if it cannot be replicated at all, or with any failure if `once`; what may pass is tried again
   * from then on.
   */
  async open({ once }: { readonly once: boolean }): Promise<void> {
    this.#checkFolders();
    await this.#composed.replication.open({ retries: !once, terms: once ? ONCE_TERMS : undefined });
  }

  /** Follows and uploads from now on, or from when it could be opened. */
  start(): void {
    this.#composed.replication.start();
  }

  /**
   * Takes everything committed by now into local files and, with `upload`, to every replica. Rejects if one of them does
   * not take it, after the others had their turn.
   */
  async sync({ upload, signal }: { readonly upload: boolean; readonly signal?: AbortSignal }): Promise<void> {
    const { replication } = this.#composed;
    await replication.requireOpen();
    if (upload) throwAll(await replication.replicated({ signal }));
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
    const results = await Promise.allSettled(this.replicas.map(({ replica }) => replica.sync()));
    throwAll(results.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : [])));
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
    return this.#composed.replication.replicatedTxid;
  }

  /** Resolves once the database is open under its leases; at once if it has none. Rejects if it cannot be opened. */
  get promoted(): Promise<void> {
    return this.#composed.replication.promoted;
  }

  /** Why it cannot be opened, the database cannot be read, or a replica does not take its files. */
  get lastError(): unknown {
    return this.#composed.replication.lastError;
  }

  /** Last sync, then everything is closed. Rejects if that failed, or if the database could not be opened for it. */
  async stop(options: StopOptions): Promise<void> {
    try {
      throwAll(await this.#composed.replication.stop(options));
    } finally {
      await this.#release();
    }
  }

  /** Closes it without a last sync. */
  async close(): Promise<void> {
    try {
      await this.#composed.replication.close();
    } finally {
      await this.#release();
    }
  }

  async #release(): Promise<void> {
    this.#missing?.[Symbol.dispose]();
    await this.#clients[Symbol.asyncDispose]();
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
}

/** There is a file that is not opened yet: what is in it is not replicated. */
function notReady(path: string, reason: string): LitestreamError {
  return new LitestreamError(`the database is not ready: ${reason}: ${path}`, {
    code: 'DATABASE_NOT_READY',
    retryable: true,
    hint: 'It is replicated once it is whole, has a table, and no other program writes to the file.',
  });
}

function throwAll(failures: readonly unknown[]): void {
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures);
}
