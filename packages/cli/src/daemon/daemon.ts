/**
 * All databases of a process, by path. Only the daemon adds, removes, starts and stops databases, and reports their state.
 * The control socket, a reload of the config and watched folders act on it; metrics and status pages read from it.
 */
import type { Logger, OperationEvent, PluginRegistry, StopOptions } from '@litestream/core';
import { parts } from '@litestream/core/composition';
import type { Container } from '@litestream/core/composition';
import type { Config } from '../config/types.ts';
import { describeError } from '../util/describe-error.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { Collisions } from '../databases/collisions.ts';
import type { SingleDatabase } from '../databases/directory.ts';
import { ManagedDatabase } from './managed-database.ts';
import type { Origin } from './managed-database.ts';
import { withDatabasePath } from './services/with-database.ts';
import type { DatabaseReport } from './services/report.ts';
import { composeProcess } from './compose-from-config.ts';
import { announceMaintenance, maintenanceOf } from './services/maintenance.ts';
import { settleBounded } from '../util/task-queue.ts';

/** How many databases open at a time, as in Litestream (Go). */
const OPENING_MAX = 50;

export interface DaemonOptions {
  readonly config: Config;
  readonly registry: PluginRegistry;
  readonly logger: Logger;
  readonly terminal: Terminal;
  /** `-once`: nothing runs in the background. */
  readonly once: boolean;
  /** Called after each call of a backend. */
  readonly onOperation?: ((event: OperationEvent) => void) | undefined;
}

export class Daemon {
  readonly startedAt: Date = new Date();
  readonly #options: DaemonOptions;
  readonly #databases = new Map<string, ManagedDatabase>();
  readonly #collisions = new Collisions();
  /** Running removals, by path. A database that is added at the same path waits for them. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** By path: why the last sync of a database that was removed failed. */
  readonly #unsent = new Map<string, unknown>();
  readonly #root: Container;
  readonly #lost = Promise.withResolvers<{ readonly error: unknown }>();

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#root = composeProcess(options);
  }

  /** All databases, stopped ones included, in the order they were added. */
  get databases(): readonly ManagedDatabase[] {
    return [...this.#databases.values()];
  }

  /** Creates the clients of replicas. */
  get registry(): PluginRegistry {
    return this.#options.registry;
  }

  /** Paths of the databases that already use a local folder or a replica of this one. */
  ownersOf(config: SingleDatabase): readonly string[] {
    return this.#collisions.ownersOf(config);
  }

  /** The path under which the file at this path, or behind this link, is replicated; undefined if it is not. */
  nameOf(path: string): string | undefined {
    return this.#collisions.nameOf(path);
  }

  find(path: string): ManagedDatabase | undefined {
    return this.#databases.get(path);
  }

  /**
   * Resolves once all databases that the daemon knows now are open under their leases. Rejects if one of them cannot be opened.
   */
  async promoted(): Promise<void> {
    await Promise.all(this.databases.map(async ({ running }) => await running?.promoted));
  }

  /** Resolves when a lease is lost, otherwise never. */
  get lost(): Promise<{ readonly error: unknown }> {
    return this.#lost.promise;
  }

  report(): readonly DatabaseReport[] {
    return this.databases.map((database) => database.report());
  }

  /**
   * Opens databases, many at a time. Logs and leaves out a database that cannot be replicated. Rejects with the first
   * failure if all of them fail.
   */
  async open(configs: readonly SingleDatabase[], origin: (config: SingleDatabase) => Origin): Promise<void> {
    const { logger, once } = this.#options;
    const added = configs.map((config) => this.#make(config, origin(config)));
    const results = await settleBounded(added, OPENING_MAX, (database) => database.open({ once }));
    const failures: unknown[] = [];
    for (const [index, result] of results.entries()) {
      const database = added[index];
      if (database === undefined || result.status === 'fulfilled') continue;
      this.#forget(database);
      const error = withDatabasePath(database.path, result.reason);
      failures.push(error);
      if (added.length > 1) {
        logger.error('cannot replicate database', { path: database.path, error: describeError(error) });
      }
    }
    if (failures.length > 0 && failures.length === added.length) throw failures[0];
  }

  /** Logs which databases go where, in the words of Litestream (Go). */
  announce(): void {
    for (const database of this.databases) this.#announce(database);
  }

  /** Starts to monitor all open databases. */
  monitor(): void {
    announceMaintenance(maintenanceOf(this.#options.config), this.#options.logger);
    for (const database of this.databases) database.monitor();
  }

  /**
   * Adds a database, and starts it unless it was stopped by request. False if the daemon already has a database at this
   * path. Rejects if the database cannot be replicated.
   */
  async add(
    config: SingleDatabase,
    origin: Origin,
    { isStopped }: { readonly isStopped: boolean } = { isStopped: false },
  ): Promise<boolean> {
    await this.#leaving.get(config.path);
    if (this.#databases.has(config.path)) return false;
    const database = this.#make(config, origin);
    if (isStopped) return true;
    try {
      await database.start();
    } catch (error) {
      this.#forget(database);
      throw withDatabasePath(config.path, error);
    }
    return true;
  }

  /**
   * Stops and removes a database; its local state and its replicas stay. Resolves to the removed database, or to undefined
   * if there is none at this path. Rejects if the last sync fails; the database is removed nevertheless.
   */
  async remove(path: string, options: StopOptions): Promise<ManagedDatabase | undefined> {
    const database = this.#databases.get(path);
    if (database === undefined) {
      await this.#leaving.get(path);
      return undefined;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#databases.delete(path);
    this.#leaving.set(path, promise);
    try {
      await database.stop(options);
    } finally {
      if (database.unsent !== undefined) this.#unsent.set(path, database.unsent);
      this.#collisions.release(database.config);
      this.#leaving.delete(path);
      resolve();
    }
    return database;
  }

  /**
   * Syncs all databases a last time, in parallel. Resolves to the failures, also those of databases that were stopped or removed
   * earlier and not started again.
   */
  async close(options: StopOptions): Promise<unknown[]> {
    await this.#root.resolve(parts.stores)?.close();
    const before = [...this.#unsent.values(), ...this.databases.map(({ unsent }) => unsent)];
    const stopped = await Promise.allSettled([
      ...this.databases.map((database) => database.stop(options)),
      ...this.#leaving.values(),
    ]);
    const now = stopped.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    return [...before.filter((error) => error !== undefined), ...now];
  }

  #announce({ path, running }: ManagedDatabase): void {
    if (running === undefined) return;
    const { logger } = this.#options;
    logger.info('initialized db', { path });
    for (const { open } of running.replicas) {
      const { type } = open.client;
      logger.info('replicating to', { type, 'sync-interval': open.config.syncIntervalMs, ...open.facts });
    }
  }

  #make(config: SingleDatabase, origin: Origin): ManagedDatabase {
    this.#collisions.claim(config);
    const { registry, logger, once, onOperation, terminal } = this.#options;
    const database = new ManagedDatabase(config, origin, {
      root: this.#root,
      registry,
      logger,
      once,
      onOperation,
      terminal,
      onLeaseLost: (error) => this.#lost.resolve({ error }),
    });
    this.#databases.set(config.path, database);
    this.#unsent.delete(config.path);
    return database;
  }

  #forget(database: ManagedDatabase): void {
    this.#databases.delete(database.path);
    this.#collisions.release(database.config);
  }
}
