/** One database with its replicas, from opening to the last sync. */
import { basename } from 'node:path';
import { DB, LitestreamError, Replica, hasCode } from '@litestream/core';
import type { LitestreamErrorCode, Logger } from '@litestream/core';
import type { Config } from '../config/types.ts';
import { openReplicas } from '../replicas.ts';
import type { OpenReplica, OpenReplicas } from '../replicas.ts';
import { checkReplicaFolder } from './check-folder.ts';
import type { SingleDatabase } from './directory.ts';
import { JointHistory } from './history.ts';

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

export class ManagedDatabase {
  readonly path: string;
  readonly db: DB;
  readonly replicas: readonly { readonly open: OpenReplica; readonly replica: Replica }[];
  readonly #clients: OpenReplicas;
  readonly #logger: Logger;
  #opening: Promise<void> | undefined;
  readonly #lifetime = new AbortController();

  private constructor(database: SingleDatabase, clients: OpenReplicas, logger: Logger) {
    this.path = database.path;
    this.#clients = clients;
    this.#logger = logger.child({ system: 'store' });
    const [first] = database.replicas;
    this.db = new DB(database.path, {
      metaPath: database.metaPath,
      logger: this.#logger,
      syncIntervalMs: first?.syncIntervalMs,
      monitorIntervalMs: database.monitorIntervalMs,
      checkpointIntervalMs: database.checkpointIntervalMs,
      minCheckpointPageN: database.minCheckpointPageCount,
      truncatePageN: database.truncatePageCount,
      busyTimeoutMs: database.busyTimeoutMs,
      maxSyncWalBytes: database.maxSyncWalBytes,
    });
    const options = { logger: this.#logger.child({ db: basename(database.path) }) };
    this.replicas = clients.all.map((open) => ({
      open,
      replica: new Replica(open.client, this.db, { ...options, syncIntervalMs: open.config.syncIntervalMs }),
    }));
  }

  static async create(database: SingleDatabase, config: Config, logger: Logger): Promise<ManagedDatabase> {
    return new ManagedDatabase(database, await openReplicas(database.replicas, config, database.path), logger);
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
    for (const { replica } of this.replicas) replica.start();
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
    for (const { replica } of this.replicas) await replica.snapshot();
  }

  /** Removes what the retention of the config does not keep. */
  async enforceRetention(): Promise<void> {
    await Promise.resolve();
  }

  /** Last sync, then everything is let go. Rejects if the last sync failed. */
  async stop(options: StopOptions): Promise<void> {
    this.#lifetime.abort();
    await this.#opening;
    try {
      await this.db.stop();
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
