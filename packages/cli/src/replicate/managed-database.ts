/** One database with its replicas, from opening to the last sync. */
import { basename } from 'node:path';
import { DB, LitestreamError, Replica, StoredReplica, hasCode } from '@litestream/core';
import type { LitestreamErrorCode, Logger, PluginRegistry, Store } from '@litestream/core';
import type { Config } from '../config/types.ts';
import { openReplicas } from '../replicas.ts';
import type { OpenReplica, OpenReplicas } from '../replicas.ts';
import { showUploads } from '../terminal/metered-uploads.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { checkReplicaFolder } from './check-folder.ts';
import type { SingleDatabase } from './directory.ts';
import { JointHistory } from './history.ts';
import { localFilesOf } from './local-files.ts';
import { levelsOf } from './store.ts';

/** What waiting does not mend: replication of this database cannot start. */
const FATAL: readonly LitestreamErrorCode[] = [
  'CONFIG_INVALID',
  'DATABASE_INVALID',
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
  'UNSUPPORTED',
];

const BACKOFF_MS_MAX = 300_000;

export interface StopOptions {
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** Aborted when the user wants no last sync. */
  readonly signal: AbortSignal;
}

/** What the databases of a process share. */
export interface Services {
  readonly config: Config;
  readonly registry: PluginRegistry;
  /** Compacts, takes snapshots and deletes what has expired; undefined with `-once`. */
  readonly store: Store | undefined;
  readonly logger: Logger;
  readonly terminal: Terminal;
}

interface ManagedReplica {
  readonly open: OpenReplica;
  readonly replica: Replica;
  readonly stored: StoredReplica;
}

export class ManagedDatabase {
  readonly path: string;
  readonly db: DB;
  readonly replicas: readonly ManagedReplica[];
  readonly #clients: OpenReplicas;
  readonly #services: Services;
  readonly #logger: Logger;
  readonly #lifetime = new AbortController();
  #opening: Promise<void> | undefined;

  private constructor(database: SingleDatabase, clients: OpenReplicas, services: Services) {
    this.path = database.path;
    this.#clients = clients;
    this.#services = services;
    this.#logger = services.logger.child({ system: 'store' });
    this.db = new DB(database.path, {
      metaPath: database.metaPath,
      logger: this.#logger,
      syncIntervalMs: Math.min(...database.replicas.map(({ syncIntervalMs }) => syncIntervalMs)),
      monitorIntervalMs: database.monitorIntervalMs,
      checkpointIntervalMs: database.checkpointIntervalMs,
      minCheckpointPageN: database.minCheckpointPageCount,
      truncatePageN: database.truncatePageCount,
      busyTimeoutMs: database.busyTimeoutMs,
      maxSyncWalBytes: database.maxSyncWalBytes,
    });
    this.replicas = clients.all.map((open) => this.#replicaOf(open));
  }

  static async create(database: SingleDatabase, services: Services): Promise<ManagedDatabase> {
    return new ManagedDatabase(
      database,
      await openReplicas(database.replicas, services.registry, database.path),
      services,
    );
  }

  /** Opens the database. Rejects if it cannot be replicated at all, or with whatever went wrong if `once`. */
  async open(options: { readonly once: boolean }): Promise<void> {
    for (const { open } of this.replicas) {
      if (open.folder !== undefined) checkReplicaFolder(open.folder);
    }
    try {
      await this.#open();
    } catch (error) {
      if (options.once || FATAL.some((code) => hasCode(error, code))) throw error;
      this.#opening = this.#openLater(error);
    }
  }

  /** Follows and uploads from now on, or from when it could be opened. */
  start(): void {
    if (this.#opening !== undefined) return;
    this.db.start();
    for (const { replica, stored } of this.replicas) {
      replica.onUpload(() => stored.uploaded());
      replica.start();
      this.#services.store?.add(stored);
    }
  }

  /** Everything committed by now goes to every replica. */
  async sync(): Promise<void> {
    const { txid } = await this.db.sync();
    if (txid === 0n) {
      throw new LitestreamError(`there is no database to replicate: ${this.path}`, {
        code: 'DATABASE_MISSING',
        hint: 'Check the path.',
      });
    }
    for (const { replica } of this.replicas) await replica.sync();
  }

  async snapshot(): Promise<void> {
    for (const { stored } of this.replicas) await stored.snapshot();
  }

  /** Removes what the retention of the config does not keep. */
  async enforceRetention(): Promise<void> {
    for (const { stored } of this.replicas) await stored.enforceSnapshotRetention();
  }

  /** Last sync, then everything is let go. Rejects if the last sync failed. */
  async stop(options: StopOptions): Promise<void> {
    this.#lifetime.abort();
    await this.#opening;
    try {
      await this.db.stop();
      for (const { stored } of this.replicas) await this.#services.store?.remove(stored);
      const stopped = await Promise.allSettled(this.replicas.map(({ replica }) => replica.stop(options)));
      const failures = stopped.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
      if (failures.length === 1) throw failures[0];
      if (failures.length > 1) throw new AggregateError(failures);
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    await this.db.close();
    await this.#clients[Symbol.asyncDispose]();
  }

  #replicaOf(open: OpenReplica): ManagedReplica {
    const { config } = this.#services;
    const logger = this.#logger.child({ db: basename(this.path) });
    const client = showUploads(open.client, { terminal: this.#services.terminal, logger });
    const replica = new Replica(client, this.db, { logger, syncIntervalMs: open.config.syncIntervalMs });
    const stored = new StoredReplica(replica, {
      levels: levelsOf(config),
      snapshotIntervalMs: config.snapshot.intervalMs,
      snapshotRetentionMs: config.snapshot.retentionMs,
      level0RetentionMs: config.l0RetentionMs,
      retentionEnabled: config.retentionEnabled,
      verifyCompaction: config.verifyCompaction,
      local: localFilesOf(this.db),
      logger,
    });
    return { open, replica, stored };
  }

  async #open(): Promise<void> {
    await this.db.open({ history: new JointHistory(this.replicas.map(({ replica }) => replica)) });
  }

  /** A replica that cannot be reached now is no reason to leave the other databases without replication. */
  async #openLater(first: unknown): Promise<void> {
    const { signal } = this.#lifetime;
    const { setTimeout: sleep } = await import('node:timers/promises');
    let error = first;
    for (let errors = 1; ; errors += 1) {
      const backoffMs = Math.min(1000 * 2 ** (errors - 1), BACKOFF_MS_MAX);
      this.#logger.error('sync error', {
        db: basename(this.path),
        error,
        consecutive_errors: errors,
        backoff: backoffMs,
      });
      await sleep(backoffMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.#open();
        this.#opening = undefined;
        this.start();
        return;
      } catch (caught) {
        error = caught;
      }
    }
  }
}
