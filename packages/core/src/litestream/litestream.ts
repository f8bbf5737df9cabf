import { resolve } from 'node:path';
import { realDatabasePath } from '../files/real-path.ts';
import { LitestreamError } from '../util/error.ts';
import { Follower } from '../follower/follower.ts';
import type { FollowOptions } from '../follower/follower.ts';
import { Emitter } from '../util/emitter.ts';
import type { Logger } from '../util/logger.ts';
import type { StopOptions } from '../replica/replica-options.ts';
import { restore } from '../restore/restore.ts';
import type { RestoreOptions, RestoreResult } from '../restore/plan/restore-options.ts';
import { verifyReplica } from '../verify/verify-replica.ts';
import type { ReplicaClient } from '../storage/contract/contract.ts';
import type { VerifyOptions, VerifyReport } from '../verify/verify-replica.ts';
import { withClient } from './composition/client-factory.ts';
import type { ReplicaTarget } from './composition/client-factory.ts';
import type { Container } from './composition/container.ts';
import { parts } from './composition/tokens.ts';
import { DatabaseOpener } from './database-opener.ts';
import { FollowerSet } from './follower-set.ts';
import { composeLibrary } from './library-composition.ts';
import type { LitestreamEvents, LitestreamOptions, ReplicateOptions } from './litestream-options.ts';
import type { ReplicatedDatabase } from './replicated-database.ts';
import { targetsOf } from './replica-targets.ts';

/**
 * Replicates databases from inside the program that writes them, and restores them.
 *
 * ```ts
 * await using litestream = new Litestream({ plugins: [gcs()] });
 * const db = await litestream.replicate('app.db', 'gs://bucket/app');
 * await db.replicated();
 * ```
 */
export class Litestream implements AsyncDisposable {
  readonly #root: Container;
  readonly #logger: Logger;
  readonly #events = new Emitter<LitestreamEvents>();
  readonly #databases = new Map<string, ReplicatedDatabase | undefined>();
  /** File of each database when it was opened → its path. */
  readonly #files = new Map<string, string>();
  readonly #opener: DatabaseOpener;
  readonly #followers: FollowerSet;
  /** Databases and copies that are being opened; aborted when it stops. */
  readonly #opening = new Set<Promise<unknown>>();
  readonly #stopping = new AbortController();
  #stopped: Promise<void> | undefined;

  /** @throws LitestreamError `NODE_TOO_OLD`. */
  constructor(options: LitestreamOptions = {}) {
    requireNode();
    const onError = (path: string | undefined, error: unknown): void =>
      this.#events.emit('error', { path, replica: undefined, error });
    this.#root = composeLibrary(options, (error) => onError(undefined, error));
    this.#logger = this.#root.resolve(parts.logger);
    this.#followers = new FollowerSet(onError);
    const { composition } = options;
    this.#opener = new DatabaseOpener({ root: this.#root, composition, events: this.#events });
  }

  /** Calls the listener for each event of this name. Returns what ends it. */
  on<Name extends keyof LitestreamEvents>(name: Name, listener: (event: LitestreamEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /** What is being replicated. */
  get databases(): readonly ReplicatedDatabase[] {
    return [...this.#databases.values()].filter((database) => database !== undefined);
  }

  /**
   * Starts to replicate a database, which need not exist yet, to one or several replicas. Rejects if the database or the replica
   * cannot be opened (`DATABASE_INVALID`, `PLUGIN_MISSING`, `CONFIG_INVALID`, `UNAUTHORIZED`, …). With several replicas, one that
   * answers is enough: the failures of the others are `error` events, and Litestream retries.
   */
  async replicate(
    path: string,
    replicas: ReplicaTarget | readonly ReplicaTarget[],
    options: ReplicateOptions = {},
  ): Promise<ReplicatedDatabase> {
    const absolute = resolve(path);
    if (this.#stopped !== undefined) throw invalid('this Litestream was stopped', absolute);
    const targets = targetsOf(replicas, options, absolute);
    if (this.#databases.has(absolute)) throw invalid(`already replicated: ${absolute}`, absolute);
    const file = realDatabasePath(absolute);
    const other = this.#files.get(file);
    if (other !== undefined)
      throw invalid(`already replicated as ${other}, which is the same file: ${absolute}`, absolute);
    this.#databases.set(absolute, undefined);
    this.#files.set(file, absolute);
    try {
      const database = await this.#whileRunning(options.signal, (signal) =>
        this.#opener.open(absolute, targets, { ...options, signal }, () => this.#forget(absolute)),
      );
      this.#databases.set(absolute, database);
      return database;
    } catch (error) {
      this.#forget(absolute);
      throw error;
    }
  }

  #forget(path: string): void {
    this.#databases.delete(path);
    for (const [file, name] of this.#files) if (name === path) this.#files.delete(file);
  }

  /** Restores a database; see `restore` for options and errors. */
  async restore(source: ReplicaTarget, options: RestoreOptions): Promise<RestoreResult> {
    return await this.#using(source, (client) => restore(client, { logger: this.#logger, ...options }));
  }

  /**
   * Keeps a read-only copy of a database up to date, from now until the signal is aborted or the `Litestream` stops;
   * see `Follower`. Resolves once the copy can be read.
   */
  async follow(source: ReplicaTarget, options: FollowOptions): Promise<Follower> {
    if (this.#stopped !== undefined) throw invalid('this Litestream was stopped', options.output);
    return await this.#whileRunning(options.signal, (opening) => this.#openFollower(source, options, opening));
  }

  /** Reads every file of a replica, and proves the newest state; see `verifyReplica`. Writes nothing. */
  async verify(source: ReplicaTarget, options: VerifyOptions = {}): Promise<VerifyReport> {
    return await this.#using(source, (client) => verifyReplica(client, options));
  }

  #using<T>(source: ReplicaTarget, work: (client: ReplicaClient) => Promise<T>): Promise<T> {
    return withClient(this.#root.resolve(parts.clientFactory), source, work);
  }

  async #openFollower(source: ReplicaTarget, options: FollowOptions, opening: AbortSignal): Promise<Follower> {
    const { client, release } = await this.#root.resolve(parts.clientFactory).open(source);
    try {
      const driver = this.#root.resolve(parts.sqliteDriver);
      const follower = await Follower.open(client, { logger: this.#logger, driver, ...options, signal: opening });
      this.#followers.run(follower, options.signal, release);
      return follower;
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** Work that is cut short, and waited for, when this stops meanwhile. */
  async #whileRunning<T>(signal: AbortSignal | undefined, open: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signals = [this.#stopping.signal, ...(signal === undefined ? [] : [signal])];
    const work = open(AbortSignal.any(signals));
    this.#opening.add(work);
    try {
      return await work;
    } finally {
      this.#opening.delete(work);
    }
  }

  /** Sends what is left of every database, for up to 30 s, and stops. Rejects with what failed, after stopping all. */
  async stop(options: StopOptions = {}): Promise<void> {
    this.#stopped ??= this.#stop(options);
    await this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(options: StopOptions): Promise<void> {
    this.#stopping.abort(new LitestreamError('this Litestream was stopped', { code: 'ABORTED', operation: 'open' }));
    await Promise.allSettled(this.#opening);
    await this.#root.resolve(parts.stores)?.close();
    await this.#followers.stop();
    const stopped = await Promise.allSettled(this.databases.map((database) => database.stop(options)));
    const failures = stopped.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, `${failures.length} databases failed their last sync`);
  }
}

/** The least version that package.json names: what is missing in older ones shows only later, and in strange ways. */
function requireNode(): void {
  const { node } = process.versions;
  const [major = 0, minor = 0] = node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return;
  throw new LitestreamError(`Litestream needs Node 22.18 or newer, this is ${node}`, { code: 'NODE_TOO_OLD' });
}

function invalid(message: string, object: string): LitestreamError {
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'replicate', object });
}
