import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { guardClient } from '../storage/guard/guard-client.ts';
import { DB } from '../db/db.ts';
import { realDatabasePath } from '../files/real-path.ts';
import type { Checkpoint } from '../db/status/db-status.ts';
import type { DbOptions } from '../db/session/options.ts';
import type { StagingPlace } from '../files/staging.ts';
import type { DrillResult } from '../drill/drill.ts';
import type { SqliteDriver } from '../sqlite/driver/sqlite-driver.ts';
import { hasCode, LitestreamError } from '../util/error.ts';
import { Follower } from '../follower/follower.ts';
import type { FollowOptions } from '../follower/follower.ts';
import { fencedClient } from '../lease/fenced-client.ts';
import type { PageProof } from '../ledger/ledger.ts';
import { LeaseHolder } from '../lease/holder.ts';
import type { LeaseOptions } from '../lease/holder-options.ts';
import type { LeaseStatus } from '../lease/status.ts';
import { takeOver } from '../lease/take-over.ts';
import { Emitter } from '../util/emitter.ts';
import { ReplicatedDatabase } from './replicated-database.ts';
import { silentLogger } from '../util/logger.ts';
import type { Logger } from '../util/logger.ts';
import type { LitestreamPlugin, PluginContext } from '../plugins/plugin.ts';
import { PluginRegistry } from '../plugins/registry.ts';
import type { ReplicaSpec } from '../plugins/registry.ts';
import { Replica } from '../replica/replica.ts';
import type { StopOptions } from '../replica/replica-options.ts';
import { restore } from '../restore/restore.ts';
import type { RestoreOptions, RestoreResult } from '../restore/plan/restore-options.ts';
import type { LocalFiles } from '../compaction/compactor.ts';
import { LocalLevel0, releaseOnUpload } from '../retention/local-level0.ts';
import { Store } from '../maintenance/store.ts';
import type { StoreOptions } from '../maintenance/store.ts';
import { DEFAULT_LEVELS } from '../compaction/compaction-levels.ts';
import { StoredReplica } from '../maintenance/stored-replica.ts';
import { verifyReplica } from '../verify/verify-replica.ts';
import type { VerifyOptions, VerifyReport } from '../verify/verify-replica.ts';

/** What happens to the databases of one `Litestream`. */
export interface LitestreamEvents {
  /** Commits were taken into a local file. */
  readonly sync: { readonly path: string; readonly txid: TXID };
  /** Everything up to this transaction is on the replica. */
  readonly upload: { readonly path: string; readonly txid: TXID };
  /** SQLite moved pages of the log into the database file, or was kept from it (`busy`). */
  readonly checkpoint: { readonly path: string } & Checkpoint;
  /** Files of a level were merged into one of the next. */
  readonly compaction: { readonly path: string; readonly file: LtxFileInfo };
  /** The whole database is on the replica as one file. */
  readonly snapshot: { readonly path: string; readonly txid: TXID; readonly file: LtxFileInfo };
  /** All pages of the database were compared with what was replicated up to this transaction, and were equal. */
  readonly proven: { readonly path: string } & PageProof;
  /** A restore drill succeeded. One that failed is an `error`. */
  readonly drill: { readonly path: string } & DrillResult;
  /** The lease of a replica was acquired, lapsed (it could not be renewed in time), was renewed again, lost or released. */
  readonly lease: { readonly path: string } & LeaseStatus;
  /** Something failed that is tried again by itself. */
  readonly error: { readonly path: string | undefined; readonly error: unknown };
}

export interface LitestreamOptions {
  /** Backends beside files: `[gcs()]`. */
  readonly plugins?: readonly LitestreamPlugin[] | undefined;
  /** The library the program itself opens the databases with. Default: `node:sqlite`. */
  readonly driver?: SqliteDriver | undefined;
  readonly logger?: Logger | undefined;
  /** Levels, snapshots, retention. `false`: level-0 files only, and another process compacts them. */
  readonly store?: LitestreamStoreOptions | false | undefined;
}

/** Durations in milliseconds; defaults are upstream's. */
export interface LitestreamStoreOptions extends Omit<StoreOptions, 'clock' | 'logger' | 'onError'> {
  /** How long snapshots, and what is needed to restore between them, are kept. Default 24 h. */
  readonly snapshotRetentionMs?: number | undefined;
  /** How long level-0 files are kept once they are compacted. Default 5 min; 0 keeps them on the replica for good. */
  readonly level0RetentionMs?: number | undefined;
  /**
   * How often the newest state of each replica is restored to a temporary file, proven, and removed. The file is made in
   * `stagingPath`, or in `metaPath` if there is ample room on its disk. Default 0: never.
   */
  readonly drillIntervalMs?: number | undefined;
  /** List a level again after each compaction, read back what was written, and check both. Default false. */
  readonly verifyCompaction?: boolean | undefined;
}

export interface ReplicateOptions extends Omit<DbOptions, 'driver' | 'logger' | 'clock'>, Op {
  /**
   * Wait for the lease on the replica before anything else, and write there only while this process holds it. Needs a backend
   * with conditional writes. Default false.
   */
  readonly lease?: boolean | LeaseOptions | undefined;
  /** Restore the database before it is replicated, if there is no file yet and the replica holds a backup. Default false. */
  readonly restoreIfMissing?: boolean | undefined;
}

/** A URL or a path, either with settings beside it, or a client, which stays the caller's to dispose of. */
export type ReplicaTarget = string | ReplicaSpec | ReplicaClient;

const DAY_MS = 24 * 60 * 60 * 1000;
const LEVEL0_RETENTION_MS = 5 * 60 * 1000;

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
  readonly #options: LitestreamOptions;
  readonly #logger: Logger;
  readonly #registry: PluginRegistry;
  readonly #events = new Emitter<LitestreamEvents>();
  readonly #databases = new Map<string, ReplicatedDatabase | undefined>();
  /** File of each database when it was opened → its path. */
  readonly #files = new Map<string, string>();
  readonly #store: Store | undefined;
  /** What ends each follower, and its end. */
  readonly #followers = new Map<AbortController, Promise<void>>();
  /** Databases and copies that are being opened; aborted when it stops. */
  readonly #opening = new Set<Promise<unknown>>();
  readonly #stopping = new AbortController();
  #stopped: Promise<void> | undefined;

  /** @throws LitestreamError `NODE_TOO_OLD`. */
  constructor(options: LitestreamOptions = {}) {
    requireNode();
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#registry = new PluginRegistry({ plugins: options.plugins });
    if (options.store === false) return;
    const onError = (error: unknown): void => this.#events.emit('error', { path: undefined, error });
    this.#store = new Store({ ...options.store, logger: this.#logger, onError });
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
   * Starts to replicate a database, which need not exist yet. Rejects if the database
   * or the replica cannot be opened (`DATABASE_INVALID`, `PLUGIN_MISSING`, `CONFIG_INVALID`, `UNAUTHORIZED`, …).
   */
  async replicate(path: string, target: ReplicaTarget, options: ReplicateOptions = {}): Promise<ReplicatedDatabase> {
    const absolute = resolve(path);
    if (this.#stopped !== undefined) throw invalid('this Litestream was stopped', absolute);
    // Plain JavaScript may give several replicas.
    if (Array.isArray(target) || typeof options !== 'object')
      throw invalid('a database takes one replica here', absolute);
    if (this.#databases.has(absolute)) throw invalid(`already replicated: ${absolute}`, absolute);
    const file = realDatabasePath(absolute);
    const other = this.#files.get(file);
    if (other !== undefined)
      throw invalid(`already replicated as ${other}, which is the same file: ${absolute}`, absolute);
    this.#databases.set(absolute, undefined);
    this.#files.set(file, absolute);
    try {
      const database = await this.#whileRunning(options.signal, (signal) =>
        this.#open(absolute, target, { ...options, signal }),
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
    const { client, release } = await this.#client(source);
    try {
      return await restore(client, { logger: this.#logger, ...options });
    } finally {
      await release();
    }
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
    const { client, release } = await this.#client(source);
    try {
      return await verifyReplica(client, options);
    } finally {
      await release();
    }
  }

  async #openFollower(source: ReplicaTarget, options: FollowOptions, opening: AbortSignal): Promise<Follower> {
    const { client, release } = await this.#client(source);
    try {
      const { driver } = this.#options;
      const follower = await Follower.open(client, { logger: this.#logger, driver, ...options, signal: opening });
      const stop = new AbortController();
      const signal = options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal]);
      const running = this.#run(follower, signal)
        .finally(() => this.#followers.delete(stop))
        .then(release);
      this.#followers.set(stop, running);
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

  async #run(follower: Follower, signal: AbortSignal): Promise<void> {
    try {
      await follower.run(signal);
    } catch (error) {
      this.#events.emit('error', { path: follower.path, error });
    } finally {
      await follower.close();
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
    await this.#store?.close();
    for (const stop of this.#followers.keys()) stop.abort();
    await Promise.all(this.#followers.values());
    const stopped = await Promise.allSettled(this.databases.map((database) => database.stop(options)));
    const failures = stopped.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, `${failures.length} databases failed their last sync`);
  }

  async #open(path: string, target: ReplicaTarget, options: ReplicateOptions): Promise<ReplicatedDatabase> {
    const { signal, lease, restoreIfMissing = false, ...dbOptions } = options;
    const { driver } = this.#options;
    const logger = this.#logger;
    const { client: bare, release } = await this.#client(target, {
      databasePath: path,
      stagingPath: options.stagingPath,
    });
    const db = new DB(path, { ...dbOptions, driver, logger });
    const onError = (error: unknown): void => this.#events.emit('error', { path, error });
    const holder = lease === undefined || lease === false ? undefined : this.#holder(bare, lease, path);
    const client = holder === undefined ? bare : fencedClient(bare, holder);
    const replica = new Replica(client, db, {
      syncIntervalMs: options.syncIntervalMs,
      logger,
      fence: holder,
      onError,
      onSnapshot: (file) => this.#events.emit('snapshot', { path, txid: file.maxTxid, file }),
    });
    try {
      await client.init({ signal });
      const restore = restoreIfMissing
        ? (op: Op): Promise<boolean> => this.#restoreMissing(client, path, op)
        : undefined;
      if (holder !== undefined) {
        holder.acknowledged = () => replica.position.txid;
        await holder.acquire({ signal });
        const localTxid = (): TXID => db.localLtx(0).last()?.maxTxid ?? 0n;
        const database = { path, exists: () => existsSync(path), localTxid, restore };
        await takeOver({ holder, client, logger, database }, { signal });
      } else if (!existsSync(path)) await restore?.({ signal });
      await db.open({ history: replica, signal });
      if (holder !== undefined) await replica.meet({ signal });
    } catch (error) {
      await db.close();
      await holder?.release();
      await release();
      throw error;
    }
    const local = new LocalLevel0(db.localLtx(0)).forReplica();
    const stored = this.#stored(replica, local, path, { metaPath: db.metaPath, stagingPath: options.stagingPath });
    if (stored === undefined) replica.onUpload(releaseOnUpload(local, LEVEL0_RETENTION_MS));
    db.onCheckpoint((checkpoint) => this.#events.emit('checkpoint', { path, ...checkpoint }));
    db.onProof((proof) => this.#events.emit('proven', { path, ...proof }));
    db.onChange(({ txid }) => this.#events.emit('sync', { path, txid }));
    let isCaredFor = false;
    replica.onUpload(({ txid }) => {
      this.#events.emit('upload', { path, txid });
      if (stored === undefined) return;
      // Not before the two have been compared: there is nothing to look after in the history of another database.
      if (!isCaredFor) this.#store?.add(stored);
      isCaredFor = true;
      stored.uploaded();
    });
    db.start();
    replica.start();
    return new ReplicatedDatabase({
      db,
      replica,
      holder,
      leaveStore: async () => {
        // The next process uploads the rest.
        isCaredFor = true;
        if (stored !== undefined) await this.#store?.remove(stored);
      },
      release: async () => {
        this.#forget(path);
        await release();
      },
    });
  }

  #holder(client: ReplicaClient, lease: true | LeaseOptions, path: string): LeaseHolder {
    const logger = this.#logger;
    const onChange = (status: LeaseStatus): void => this.#events.emit('lease', { path, ...status });
    return new LeaseHolder(client, { ...(lease === true ? {} : lease), logger, onChange });
  }

  /** A replica without a backup is not an error: it is the first start. */
  async #restoreMissing(client: ReplicaClient, path: string, { signal }: Op): Promise<boolean> {
    try {
      await restore(client, { output: realDatabasePath(path), logger: this.#logger, signal });
      return true;
    } catch (error) {
      if (!hasCode(error, 'REPLICA_EMPTY')) throw error;
      return false;
    }
  }

  #stored(replica: Replica, local: LocalFiles, path: string, place: StagingPlace): StoredReplica | undefined {
    const { store } = this.#options;
    if (store === false) return undefined;
    return new StoredReplica(replica, {
      levels: store?.levels ?? DEFAULT_LEVELS,
      snapshotIntervalMs: store?.snapshotIntervalMs ?? DAY_MS,
      snapshotRetentionMs: store?.snapshotRetentionMs ?? DAY_MS,
      level0RetentionMs: store?.level0RetentionMs ?? LEVEL0_RETENTION_MS,
      retentionEnabled: store?.retentionEnabled ?? true,
      verifyCompaction: store?.verifyCompaction ?? false,
      local,
      logger: this.#logger,
      path,
      onCompaction: (file) => this.#events.emit('compaction', { path, file }),
      drills: { place, onDrill: (result) => this.#events.emit('drill', { path, ...result }) },
    });
  }

  async #client(
    target: ReplicaTarget,
    context: Pick<PluginContext, 'databasePath' | 'stagingPath'> = {},
  ): Promise<{ client: ReplicaClient; release: () => Promise<void> }> {
    if (isClient(target)) {
      return { client: guardClient(target, { logger: this.#logger }), release: () => Promise.resolve() };
    }
    const spec = typeof target === 'string' ? { url: target } : target;
    const client = await this.#registry.createClient(spec, { logger: this.#logger, ...context });
    return { client, release: async () => await client[Symbol.asyncDispose]() };
  }
}

/** The least version that package.json names: what is missing in older ones shows only later, and in strange ways. */
function requireNode(): void {
  const { node } = process.versions;
  const [major = 0, minor = 0] = node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return;
  throw new LitestreamError(`Litestream needs Node 22.18 or newer, this is ${node}`, { code: 'NODE_TOO_OLD' });
}

function isClient(target: ReplicaTarget): target is ReplicaClient {
  return typeof target === 'object' && 'openLtxFile' in target;
}

function invalid(message: string, object: string): LitestreamError {
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'replicate', object });
}
