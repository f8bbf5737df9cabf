/** One database of a daemon, replicated or stopped. */
import type { StopOptions, TXID, VerifyLiveOptions } from '@litestream/core';
import { defaultMetaPath, localTxid } from '../util/local-state.ts';
import type { SingleDatabase } from '../databases/directory.ts';
import type { DatabaseReport } from './services/report.ts';
import { RunningDatabase } from './running-database.ts';
import type { ReplicaVerification } from './running-replica.ts';
import type { Services } from './services/services.ts';
import { TaskQueue } from '../util/task-queue.ts';

/** Where a database comes from. A reload of the config removes only databases of the config and its folders. */
export type Origin = 'config' | 'directory' | 'socket';

export interface SyncResult {
  /** Whether the sync added transactions to the local files. */
  readonly changed: boolean;
  readonly txid: TXID;
  /** The last transaction that every replica has. */
  readonly replicatedTxid: TXID;
}

/** The result of the verification of one replica. */
export type ReplicaOutcome = { readonly proof: ReplicaVerification } | { readonly error: unknown };

export class ManagedDatabase {
  readonly path: string;
  readonly config: SingleDatabase;
  readonly #services: Services;
  readonly #tasks = new TaskQueue();
  /** Verifications run one after the other: each reads all pages. */
  readonly #verifications = new TaskQueue();
  /** Aborts a verification when the database is stopped. */
  #lifetime = new AbortController();
  #origin: Origin;
  #running: RunningDatabase | undefined;
  #unsent: unknown;
  #stoppedReport: Pick<DatabaseReport, 'replicas' | 'lastSyncAt'> = { replicas: [], lastSyncAt: undefined };

  constructor(config: SingleDatabase, origin: Origin, services: Services) {
    this.path = config.path;
    this.config = config;
    this.#origin = origin;
    this.#services = services;
  }

  get origin(): Origin {
    return this.#origin;
  }

  /** Changes where the database comes from. */
  adopt(origin: Origin): void {
    this.#origin = origin;
  }

  get running(): RunningDatabase | undefined {
    return this.#running;
  }

  /** Folder of its local files. */
  get metaPath(): string {
    return this.config.metaPath ?? defaultMetaPath(this.path);
  }

  /** The last transaction in the local files. */
  get txid(): TXID {
    return this.#running?.db.position.txid ?? localTxid(this.metaPath);
  }

  /** Why the last sync failed when the database was stopped; undefined if it did not fail, or after the next start. */
  get unsent(): unknown {
    return this.#unsent;
  }

  /** Opens the database, so that `monitor` can start. Rejects if it cannot be replicated. */
  async open(options: { readonly once: boolean } = { once: false }): Promise<void> {
    await this.#tasks.run(() => this.#open(options));
  }

  /** Starts to monitor the open database and to upload its commits. */
  monitor(): void {
    this.#running?.start();
  }

  /** Opens and monitors the database. False if it already runs. */
  async start(): Promise<boolean> {
    return await this.#tasks.run(async () => {
      if (this.#running !== undefined) return false;
      await this.#open({ once: false });
      this.monitor();
      return true;
    });
  }

  /** Syncs a last time, then closes the database. False if it was stopped already. Rejects if the last sync fails. */
  async stop(options: StopOptions): Promise<boolean> {
    return await this.#tasks.run(async () => {
      const running = this.#running;
      if (running === undefined) return false;
      // Verifications use its clients, which are closed next.
      this.#lifetime.abort(new Error('the database is being stopped'));
      await this.#verifications.run(() => Promise.resolve());
      try {
        await running.stop(options);
      } catch (error) {
        this.#unsent = error;
        throw error;
      } finally {
        const { replicas, lastSyncAt } = this.report();
        this.#stoppedReport = { replicas, lastSyncAt };
        this.#running = undefined;
      }
      return true;
    });
  }

  /** Undefined if the database is stopped. Rejects with the failure, or with the reason of the aborted signal. */
  async sync(options: { readonly upload: boolean; readonly signal: AbortSignal }): Promise<SyncResult | undefined> {
    const running = this.#running;
    if (running === undefined) return undefined;
    const before = running.db.position.txid;
    await running.sync(options);
    const { txid } = running.db.position;
    return { changed: txid > before, txid, replicatedTxid: running.replicatedTxid };
  }

  /**
   * The result for each replica, by its name. Undefined if the database is stopped. Rejects if the signal is aborted, or if the
   * database is stopped meanwhile.
   */
  async verify(options: VerifyLiveOptions): Promise<ReadonlyMap<string, ReplicaOutcome> | undefined> {
    if (this.#running === undefined) return undefined;
    const { signal: stopped } = this.#lifetime;
    const signal = options.signal === undefined ? stopped : AbortSignal.any([stopped, options.signal]);
    return await this.#verifications.run(() => this.#verify({ ...options, signal }, signal));
  }

  async #verify(
    options: VerifyLiveOptions,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ReplicaOutcome> | undefined> {
    signal.throwIfAborted();
    const running = this.#running;
    if (running === undefined) return undefined;
    const outcomes = new Map<string, ReplicaOutcome>();
    // One at a time: each reads all pages.
    for (const replica of running.replicas) {
      const { text } = replica.open;
      try {
        outcomes.set(text, { proof: await replica.verify(options) });
      } catch (error) {
        signal.throwIfAborted();
        outcomes.set(text, { error });
      }
    }
    return outcomes;
  }

  report(): DatabaseReport {
    const { path } = this;
    const running = this.#running;
    if (running === undefined) {
      const { txid } = this;
      return { path, txid, state: 'stopped', db: undefined, lastError: undefined, ...this.#stoppedReport };
    }
    const replicas = running.replicas.map((replica) => replica.report());
    return {
      path,
      state: 'replicating',
      txid: running.db.position.txid,
      db: running.db.status(),
      replicas,
      lastSyncAt: earliest(replicas.map(({ lastSyncAt }) => lastSyncAt)),
      lastError: running.lastError,
    };
  }

  async #open(options: { readonly once: boolean }): Promise<void> {
    if (this.#running !== undefined) return;
    const running = await RunningDatabase.create(this.config, this.#services);
    try {
      await running.open(options);
    } catch (error) {
      await running.close();
      throw error;
    }
    this.#running = running;
    this.#lifetime = new AbortController();
    this.#unsent = undefined;
  }
}

/** Undefined if one of the times is. */
function earliest(times: readonly (Date | undefined)[]): Date | undefined {
  const known = times.filter((time) => time !== undefined);
  if (known.length < times.length) return undefined;
  return known.reduce((first, time) => (time < first ? time : first));
}
