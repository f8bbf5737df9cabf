import type { TXID } from '@litestream/ltx';
import type { DB } from '../../db/db.ts';
import type { StopOptions } from '../../replica/replica-options.ts';
import { raceAbort } from '../../storage/client-kit/sdk-abort.ts';
import type { Op } from '../../storage/contract/contract.ts';
import type { Clock } from '../../util/clock.ts';
import { hasCode } from '../../util/error.ts';
import type { Logger } from '../../util/logger.ts';
import { BacklogWatch } from './backlog-watch.ts';
import type { BacklogWatchOptions } from './backlog-watch.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import { DatabaseOpening } from './database-opening.ts';
import { FarthestTimeline } from './farthest-timeline.ts';
import type { RequiredAnswers } from './farthest-timeline.ts';
import { Leases } from './leases.ts';
import type { ReplicaLink } from './replica-link.ts';

export interface DatabaseReplicationParts {
  readonly db: DB;
  /** At least one. */
  readonly replicas: readonly ReplicaLink[];
  readonly breaker: CircuitBreaker;
  /** How many replicas have to answer before the database opens. */
  readonly required: RequiredAnswers;
  /** The last transaction in the local files; 0 for none. */
  readonly localTxid: () => TXID;
  /** Restores a missing database under its leases; undefined if that is not wanted. */
  readonly restore: ((op: Op) => Promise<unknown>) | undefined;
  readonly backlog: Pick<BacklogWatchOptions, 'intervalMs' | 'retentionMs'>;
  readonly clock: Clock;
  /** Its lines name the database. */
  readonly logger: Logger;
  /** Called each time that monitoring and uploads start. */
  readonly onStart?: (() => void) | undefined;
}

export interface OpenReplicationOptions extends Op {
  /** Retries in the background if the first attempt fails, unless waiting does not help. Also waits there for leases. */
  readonly retries: boolean;
  /** See `Leases.take`. */
  readonly terms?: number | undefined;
}

/** A database with its replicas while it is replicated, from opening to the last sync. */
export class DatabaseReplication {
  readonly db: DB;
  readonly replicas: readonly ReplicaLink[];
  readonly leases: Leases;
  readonly #parts: DatabaseReplicationParts;
  readonly #lifetime = new AbortController();
  readonly #opening: DatabaseOpening;
  #started = false;
  #rejoining: Promise<void> | undefined;
  /** TXIDs that replicas had reached when the database was reopened for them. */
  readonly #reached = new Map<ReplicaLink, TXID>();

  constructor(parts: DatabaseReplicationParts) {
    const { db, replicas, localTxid, restore, backlog, clock, logger } = parts;
    this.db = db;
    this.replicas = replicas;
    this.#parts = parts;
    const leased = replicas.flatMap(({ holder, replica, leaseTtlMs }) =>
      holder === undefined ? [] : [{ holder, replica, ttlMs: leaseTtlMs }],
    );
    this.leases = new Leases(leased, { path: db.path, localTxid, restore, logger });
    this.#opening = new DatabaseOpening({
      open: () => this.#open({ signal: this.#lifetime.signal }),
      onOpened: () => {
        if (this.#started) this.#start();
      },
      leases: this.leases,
      logger,
      signal: this.#lifetime.signal,
    });
    if (replicas.length > 1) {
      const watch = new BacklogWatch(db, replicas, { ...backlog, clock });
      db.onChange(() => watch.look());
    }
  }

  /**
   * Opens the database. Without `retries`, rejects with any failure. With `retries`, rejects only if the database cannot be replicated
   * at all, and retries other failures in the background.
   */
  async open({ retries, terms, signal }: OpenReplicationOptions): Promise<void> {
    this.leases.requireSupport();
    if (this.leases.isAny && retries) {
      this.#opening.begin();
      return;
    }
    const signals = [this.#lifetime.signal, ...(signal === undefined ? [] : [signal])];
    try {
      await this.#open({ terms, signal: AbortSignal.any(signals) });
    } catch (error) {
      if (!retries || !this.#opening.retryAfter(error)) throw error;
    }
  }

  /** Starts to monitor and upload, now or as soon as the database is open. */
  start(): void {
    this.#started = true;
    if (!this.#opening.isPending) this.#start();
  }

  /** Resolves once the database is open under its leases; at once if it has none. Rejects if it cannot be opened. */
  get promoted(): Promise<void> {
    return this.leases.opened;
  }

  /** Resolves if the database is open. Rejects with what keeps it from being opened. */
  async requireOpen(): Promise<void> {
    await this.#rejoining;
    if (!this.#opening.isPending) return;
    const error: unknown = this.#opening.error ?? this.leases.waitError;
    throw error;
  }

  /**
   * Uploads everything committed before the call to every replica, to all at the same time. Resolves to the failures, in the order of
   * the replicas, once all uploads have ended.
   */
  async replicated(options: Op = {}): Promise<readonly unknown[]> {
    await raceAbort(this.requireOpen(), options.signal);
    return failuresOf(await Promise.allSettled(this.replicas.map(({ replica }) => replica.replicated(options))));
  }

  /** The last transaction that every replica has. */
  get replicatedTxid(): TXID {
    const positions = this.replicas.map(({ replica }) => replica.position.txid);
    return positions.reduce((lowest, txid) => (txid < lowest ? txid : lowest));
  }

  /** The last failure to open the database, to sync it, or to upload to a replica. */
  get lastError(): unknown {
    if (this.#opening.isPending) return this.#opening.isWaitingForLease ? undefined : this.#opening.error;
    return this.db.status().lastError ?? this.replicas.map(({ replica }) => replica.status().lastError).find(Boolean);
  }

  /**
   * Makes a last sync, then closes the database. Resolves to the failures of the replicas, in their order. Rejects if the database was
   * never open, so that there was no last sync.
   */
  async stop(options: StopOptions): Promise<readonly unknown[]> {
    // While another process has the lease, this process has nothing to upload.
    const isWaiting = this.#opening.isWaitingForLease;
    this.#lifetime.abort();
    await this.#rejoining;
    await this.#opening.idle();
    let isSent = false;
    try {
      await this.db.stop();
      // While another Litestream replicates the database, this process has nothing to upload.
      const stopOptions = (await this.#isStandby()) ? { ...options, finalSync: false } : options;
      const failures = failuresOf(await Promise.allSettled(this.replicas.map((each) => each.stop(stopOptions))));
      // It could never be opened, so there was no last sync.
      if (failures.length === 0 && this.#opening.isPending && !isWaiting) throw this.#opening.error;
      isSent = failures.length === 0;
      return failures;
    } finally {
      await this.close({ keepLeases: !isSent && !this.#opening.isPending });
    }
  }

  /**
   * `keepLeases`: some commits were not uploaded. The next process on this database has the term of the leases to upload them.
   */
  async close({ keepLeases }: { readonly keepLeases: boolean } = { keepLeases: false }): Promise<void> {
    await this.db.close();
    await this.leases.end({ keep: keepLeases });
  }

  /** Called when an upload failed. The replica retries it. */
  uploadFailed(failed: ReplicaLink, error: unknown): void {
    if (!hasCode(error, 'REPLICA_AHEAD') || failed.replica.isKnown || this.#parts.required === 'all') return;
    this.#rejoining ??= this.#rejoin(failed).finally(() => (this.#rejoining = undefined));
  }

  /**
   * Reopens the database to continue above a replica that did not answer when the database was opened, and turned out to be ahead of it:
   * the local state of the database was lost, or the database was restored.
   */
  async #rejoin(ahead: ReplicaLink): Promise<void> {
    const { circuit, name, replica } = ahead;
    const { signal } = this.#lifetime;
    const { breaker, logger } = this.#parts;
    try {
      // Its answer may take longer than an opening waits for it. Until it is there, the others are written.
      this.#reached.set(ahead, await replica.maxTxid({ signal }));
    } catch {
      return; // The next upload fails as well, and reports why.
    }
    if (signal.aborted) return;
    logger.info('replica is ahead of the database, reopening the database to continue above the replica', {
      replica: name,
    });
    if (circuit !== undefined) breaker.reset(circuit);
    try {
      await this.db.close();
      await this.#open({ signal });
      if (this.#started) this.db.start();
    } catch (error) {
      if (!signal.aborted) this.#opening.retry(error);
    }
  }

  /** Whether another Litestream replicates the database. A standby checks again: the other one may have ended, and left commits. */
  async #isStandby(): Promise<boolean> {
    const isStandby = (): boolean => this.db.status().state === 'standby';
    // The last sync meets the same failure, and reports it.
    if (isStandby()) await this.db.sync().catch(() => undefined);
    return isStandby();
  }

  #start(): void {
    this.#parts.onStart?.();
    this.db.start();
    for (const replica of this.replicas) replica.start();
  }

  async #open({ terms, signal }: { readonly terms?: number | undefined; readonly signal: AbortSignal }): Promise<void> {
    const { breaker, required } = this.#parts;
    await this.leases.take({ terms, signal });
    const timeline = this.replicas.map((link) => ({
      history: link.replica,
      circuit: link.circuit,
      reached: this.#reached.get(link),
    }));
    await this.db.open({ history: new FarthestTimeline(timeline, { breaker, required }), signal });
    try {
      await this.leases.meet(signal);
    } catch (error) {
      await this.db.close();
      throw error;
    }
  }
}

function failuresOf(results: readonly PromiseSettledResult<unknown>[]): readonly unknown[] {
  return results.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
}
