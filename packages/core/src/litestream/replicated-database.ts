import type { LtxFileInfo, Op } from '../storage/contract/contract.ts';
import type { DB } from '../db/db.ts';
import { notReadyError } from '../sqlite/database-file/db-errors.ts';
import type { DbStatus } from '../db/status/db-status.ts';
import type { Position } from '../db/session/options.ts';
import { LitestreamError } from '../util/error.ts';
import type { LeaseHolder } from '../lease/holder.ts';
import type { LeaseStatus } from '../lease/status.ts';
import type { Replica } from '../replica/replica.ts';
import type { ReplicaStatus, StopOptions } from '../replica/replica-options.ts';
import { verifyLive } from '../verify/verify-live.ts';
import type { LiveProof, VerifyLiveOptions } from '../verify/verify-live.ts';

/** A database that is being replicated. Disposing of it, or of its `Litestream`, uploads the remaining commits and closes it. */
export class ReplicatedDatabase implements AsyncDisposable {
  readonly path: string;
  readonly #db: DB;
  readonly #replica: Replica;
  readonly #holder: LeaseHolder | undefined;
  readonly #leaveStore: () => Promise<void>;
  readonly #release: () => Promise<void>;
  #stopped: Promise<void> | undefined;

  /**
   * Made by `Litestream.replicate`. `leaveStore` ends compaction and retention, and resolves once neither is running;
   * `release` frees resources of this database alone.
   */
  constructor(parts: {
    db: DB;
    replica: Replica;
    holder?: LeaseHolder | undefined;
    leaveStore: () => Promise<void>;
    release: () => Promise<void>;
  }) {
    this.path = parts.db.path;
    this.#db = parts.db;
    this.#replica = parts.replica;
    this.#holder = parts.holder;
    this.#leaveStore = parts.leaveStore;
    this.#release = parts.release;
  }

  /** The last transaction that is on the replica. */
  get position(): Position {
    return this.#replica.position;
  }

  /** The lease on the replica; undefined if the replica has no lease. */
  get lease(): LeaseStatus | undefined {
    return this.#holder?.status;
  }

  /**
   * Resolves once every commit made before the call is on the replica: then it is safe to acknowledge them. Rejects if
   * the upload fails, with `LEASE_LOST` while the lease is not held, with `DATABASE_IN_USE` while another Litestream
   * replicates the database, with `DATABASE_MISSING` as long as there is no database file, or with `DATABASE_NOT_READY`
   * while there is one that is not ready. Replication keeps retrying; you may call this again.
   */
  async replicated(options: Op = {}): Promise<void> {
    await this.#replica.replicated(options);
    const { waitingFor } = this.#db.status();
    if (waitingFor !== undefined) throw notReadyError(this.path, 'replicated', waitingFor);
    // Most likely a mistyped path.
    if (this.#db.status().state === 'waiting' && this.#db.position.txid === 0n) throw neverOpenedError(this.path);
  }

  /** Uploads the whole database as it is now, as a file that a restore can start from. */
  async snapshot(options: Op = {}): Promise<LtxFileInfo> {
    return await this.#replica.snapshot(options);
  }

  /**
   * Compares all pages with the checksum that the replica states. Writers continue meanwhile. Rejects with `DATABASE_CHANGED`,
   * `CHECKSUM_MISMATCH` or `UNPROVEN`, unless `repair` repairs the fault, and as `replicated` does.
   */
  async verify(options: VerifyLiveOptions = {}): Promise<LiveProof> {
    const parts = {
      client: this.#replica.client,
      comparePages: (op: Op) => this.#db.comparePages(op),
      replicated: (op: Op) => this.replicated(op),
      snapshot: (op: Op) => this.snapshot(op),
    };
    return await verifyLive(parts, options);
  }

  status(): { readonly db: DbStatus; readonly replica: ReplicaStatus } {
    return { db: this.#db.status(), replica: this.#replica.status() };
  }

  /** Uploads the commits, for up to 30 s, then stops. Rejects if the upload failed; everything is released even then. */
  async stop(options: StopOptions = {}): Promise<void> {
    this.#stopped ??= this.#stop(options);
    await this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(options: StopOptions): Promise<void> {
    let isSent = false;
    try {
      await this.#db.stop();
      // Compaction reads and deletes local files, which may belong to another process once the database is closed.
      await this.#leaveStore();
      // While another Litestream replicates the database, this process has nothing to upload.
      const isStandby = this.#db.status().state === 'standby';
      await this.#replica.stop(isStandby ? { ...options, finalSync: false } : options);
      isSent = true;
    } finally {
      await this.#db.close();
      // The commits that were not uploaded are in the database file. The next process on it has one term of the lease to upload
      // them.
      if (isSent) await this.#holder?.release();
      this.#holder?.end();
      await this.#release();
    }
  }
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
