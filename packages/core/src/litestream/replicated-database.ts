import type { LtxFileInfo, Op } from '../storage/contract/contract.ts';
import { notReadyError } from '../sqlite/database-file/db-errors.ts';
import type { DbStatus } from '../db/status/db-status.ts';
import type { Position } from '../db/session/options.ts';
import { LitestreamError } from '../util/error.ts';
import type { LeaseStatus } from '../lease/status.ts';
import type { ReplicaStatus, StopOptions } from '../replica/replica-options.ts';
import { verifyLive } from '../verify/verify-live.ts';
import type { LiveProof, VerifyLiveOptions } from '../verify/verify-live.ts';
import type { DatabaseReplication } from './replication/database-replication.ts';
import type { ReplicaLink } from './replication/replica-link.ts';

/** The state of one replica of a database. */
export interface NamedReplicaStatus extends ReplicaStatus {
  /** Its URL or path without credentials, or the type of its client. */
  readonly name: string;
  /** `file`, `s3`, … */
  readonly type: string;
  /** Undefined if it has no lease. */
  readonly lease: LeaseStatus | undefined;
}

export interface ReplicatedDatabaseStatus {
  readonly db: DbStatus;
  /** With several replicas: the lowest position, the earliest of the last syncs, the first error. */
  readonly replica: ReplicaStatus;
  /** Each replica, in the order of the call of `replicate`. */
  readonly replicas: readonly NamedReplicaStatus[];
}

/** A database that is being replicated. Disposing of it, or of its `Litestream`, uploads the remaining commits and closes it. */
export class ReplicatedDatabase implements AsyncDisposable {
  readonly path: string;
  readonly #replication: DatabaseReplication;
  readonly #release: () => Promise<void>;
  #stopped: Promise<void> | undefined;

  /** Made by `Litestream.replicate`. `release` frees resources of this database alone. */
  constructor(replication: DatabaseReplication, release: () => Promise<void>) {
    this.path = replication.db.path;
    this.#replication = replication;
    this.#release = release;
  }

  /** The last transaction that is on every replica. */
  get position(): Position {
    return { txid: this.#replication.replicatedTxid };
  }

  /**
   * The lease on the replica; undefined if the replica has no lease. With several replicas, the first lease that this process does not
   * hold. If it holds all, the first lease.
   */
  get lease(): LeaseStatus | undefined {
    const leases = this.#replication.replicas.flatMap(({ holder }) => holder?.status ?? []);
    return leases.find(({ state }) => state !== 'held') ?? leases[0];
  }

  /**
   * Resolves once every commit made before the call is on every replica: then it is safe to acknowledge them. Rejects if an upload
   * fails, with `LEASE_LOST` while a lease is not held, with `DATABASE_IN_USE` while another Litestream replicates the
   * database, with `DATABASE_MISSING` as long as there is no database file, or with `DATABASE_NOT_READY` while there is one that
   * is not ready. If uploads to several replicas fail, it rejects with the first failure in the order of the replicas, after all
   * uploads have ended; `status` has the others. Replication keeps retrying; you may call this again.
   */
  async replicated(options: Op = {}): Promise<void> {
    const failures = await this.#replication.replicated(options);
    if (failures.length > 0) throw failures[0];
    this.#requireDatabase();
  }

  /**
   * Uploads the whole database as it is now, as a file that a restore can start from. With several replicas, uploads to one after the
   * other, and resolves to the file of the first. Rejects with the first failure, after it has tried all replicas.
   */
  async snapshot(options: Op = {}): Promise<LtxFileInfo> {
    const [first] = await this.#onEach(({ replica }) => replica.snapshot(options), options);
    return first;
  }

  /**
   * Compares all pages with the checksum that the replica states. Writers continue meanwhile. Rejects with `DATABASE_CHANGED`,
   * `CHECKSUM_MISMATCH` or `UNPROVEN`, unless `repair` repairs the fault, and as `replicated` does. With several replicas, verifies one
   * after the other, and resolves to the proof of the last, with the repairs of all. Rejects with the first failure, after it has
   * tried all replicas.
   */
  async verify(options: VerifyLiveOptions = {}): Promise<LiveProof> {
    const [first, ...others] = await this.#onEach((link) => this.#verify(link, options), options);
    const repairs = [first, ...others].flatMap((proof) => proof.repairs);
    return { ...(others.at(-1) ?? first), repairs };
  }

  status(): ReplicatedDatabaseStatus {
    const replicas = this.#replication.replicas.map(({ name, client, holder, replica }): NamedReplicaStatus => ({
      name,
      type: client.type,
      ...replica.status(),
      lease: holder?.status,
    }));
    const replica = {
      position: this.position,
      lastSyncAt: earliest(replicas.map(({ lastSyncAt }) => lastSyncAt)),
      lastError: replicas.map(({ lastError }) => lastError).find((error) => error !== undefined),
    };
    return { db: this.#replication.db.status(), replica, replicas };
  }

  /** Uploads the commits, for up to 30 s, then stops. If an upload fails, releases everything and rejects. */
  async stop(options: StopOptions = {}): Promise<void> {
    this.#stopped ??= this.#stop(options);
    await this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(options: StopOptions): Promise<void> {
    try {
      const failures = await this.#replication.stop(options);
      if (failures.length > 0) throw failures[0];
    } finally {
      await this.#release();
    }
  }

  async #verify({ replica }: ReplicaLink, options: VerifyLiveOptions): Promise<LiveProof> {
    const parts = {
      client: replica.client,
      comparePages: (op: Op) => this.#replication.db.comparePages(op),
      replicated: async (op: Op) => {
        await replica.replicated(op);
        this.#requireDatabase();
      },
      snapshot: (op: Op) => replica.snapshot(op),
    };
    return await verifyLive(parts, options);
  }

  #requireDatabase(): void {
    const { db } = this.#replication;
    const { state, waitingFor } = db.status();
    if (waitingFor !== undefined) throw notReadyError(this.path, 'replicated', waitingFor);
    // Most likely a mistyped path.
    if (state === 'waiting' && db.position.txid === 0n) throw neverOpenedError(this.path);
  }

  /** Rejects with the first failure, after it has tried all replicas. */
  async #onEach<T>(work: (link: ReplicaLink) => Promise<T>, { signal }: Op): Promise<readonly [T, ...T[]]> {
    const [first, ...others] = this.#replication.replicas;
    if (first === undefined) throw new LitestreamError('a database without a replica', { code: 'INTERNAL' });
    const failures: unknown[] = [];
    const results: T[] = [];
    for (const link of [first, ...others]) {
      signal?.throwIfAborted();
      try {
        results.push(await work(link));
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return results as [T, ...T[]];
  }
}

/** Undefined if one of the times is. */
function earliest(times: readonly (Date | undefined)[]): Date | undefined {
  const known = times.filter((time) => time !== undefined);
  if (known.length < times.length) return undefined;
  return known.reduce<Date | undefined>(
    (first, time) => (first === undefined || time < first ? time : first),
    undefined,
  );
}

function neverOpenedError(path: string): LitestreamError {
  return new LitestreamError(`there is no database yet: ${path}`, {
    code: 'DATABASE_MISSING',
    retryable: true,
    operation: 'replicated',
    object: path,
    hint: 'Check the path. If the database does not exist yet, call this again once it does.',
  });
}
