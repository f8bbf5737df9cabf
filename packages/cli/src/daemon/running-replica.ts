/** One replica of a running database: its client, its uploads and its maintenance by the store. */
import { basename } from 'node:path';
import { fencedClient, LeaseHolder, Replica, StoredReplica, proveNewest, verifyLive } from '@litestream/core';
import type {
  DB,
  LeaseStatus,
  LiveProof,
  LocalFiles,
  Logger,
  Op,
  StopOptions,
  TXID,
  VerifyLiveOptions,
} from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import type { OpenReplica } from '../databases/replicas.ts';
import { showUploads } from '../terminal/metered-uploads.ts';
import { localFilesOf } from './services/local-files.ts';
import type { ReplicaReport } from './services/report.ts';
import type { Services } from './services/services.ts';
import { levelsOf } from './services/compaction-store.ts';

/** Proof that the replica states the checksum of the live database. */
export interface ReplicaVerification extends LiveProof {
  /** Faults in files that only restores to earlier states need. */
  readonly faults: readonly string[];
}

export interface RunningReplicaOptions {
  /** Folder for large temporary files of the database. Undefined: its metadata folder. */
  readonly stagingPath: string | undefined;
  readonly onError: (error: unknown) => void;
  readonly onLease: (status: LeaseStatus) => void;
}

export class RunningReplica {
  readonly open: OpenReplica;
  readonly replica: Replica;
  readonly stored: StoredReplica;
  /** Undefined if the replica has no lease. */
  readonly holder: LeaseHolder | undefined;
  readonly #local: LocalFiles;
  readonly #services: Services;
  readonly #db: DB;
  readonly #logger: Logger;
  #started = false;
  /** Position of the replica when files that it does not have were last released. */
  #forgoneAt: TXID | undefined;
  #care: 'none yet' | 'given' | 'over' = 'none yet';

  constructor(open: OpenReplica, db: DB, services: Services, { stagingPath, onError, onLease }: RunningReplicaOptions) {
    const { config } = services;
    const { syncIntervalMs, autoRecover } = open.config;
    const logger = services.logger.child({ system: 'store', db: basename(db.path) });
    const { lease } = open.config;
    this.holder = lease && new LeaseHolder(open.client, { ...lease, logger, onChange: onLease });
    const fenced = this.holder === undefined ? open.client : fencedClient(open.client, this.holder);
    const client = showUploads(fenced, { terminal: services.terminal, logger });
    this.open = open;
    this.#logger = logger;
    this.#db = db;
    this.#services = services;
    this.replica = new Replica(client, db, { logger, syncIntervalMs, autoRecover, onError, fence: this.holder });
    if (this.holder !== undefined) this.holder.acknowledged = () => this.replica.position.txid;
    this.#local = localFilesOf(db);
    this.stored = new StoredReplica(this.replica, {
      levels: levelsOf(config),
      snapshotIntervalMs: config.snapshot.intervalMs,
      snapshotRetentionMs: config.snapshot.retentionMs,
      level0RetentionMs: config.l0RetentionMs,
      retentionEnabled: config.retentionEnabled,
      verifyCompaction: config.verifyCompaction,
      drills: { place: { metaPath: db.metaPath, stagingPath } },
      local: this.#local,
      logger,
      path: db.path,
    });
  }

  /** Starts uploads. The store maintains the replica once it has answered: before that, there is nothing to maintain. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.replica.onUpload(() => {
      if (this.#care === 'none yet') {
        this.#care = 'given';
        this.#services.stores?.add(this.open.config, this.stored);
      }
      this.stored.uploaded();
    });
    this.replica.start();
  }

  async stop(options: StopOptions): Promise<void> {
    const given = this.#care === 'given';
    // The next process maintains what the last sync uploads.
    this.#care = 'over';
    if (given) await this.#services.stores?.remove(this.open.config, this.stored);
    await this.replica.stop(options);
  }

  /** Releases older local files that the replica does not have: a snapshot will replace them. */
  forgo(before: Date): void {
    const { position } = this.replica;
    if (this.#forgoneAt !== position.txid) {
      this.#forgoneAt = position.txid;
      this.#logger.warn('replica is too far behind, it gets a snapshot once it answers', {
        replica: this.open.text,
        'txid.replica': formatTxid(position.txid),
        'txid.db': formatTxid(this.#db.position.txid),
      });
    }
    this.#local.release?.({ txid: this.#db.position.txid, before });
  }

  /** Compares the database with the replica; see `verifyLive`. `repair` also checks every file of the replica, as validation does. */
  async verify(options: VerifyLiveOptions): Promise<ReplicaVerification> {
    const { replica, stored } = this;
    const parts = {
      client: replica.client,
      comparePages: (op: Op) => this.#db.comparePages(op),
      replicated: (op: Op) => replica.replicated(op),
      snapshot: (op: Op) => stored.snapshot(op),
    };
    const proof = await verifyLive(parts, options);
    if (options.repair !== true) return { ...proof, faults: [] };
    const { signal } = options;
    // If a fault prevents restores, `validate` takes a snapshot.
    const { faults, snapshotNeeded } = await stored.validate({ sample: 'all', signal });
    let isSnapshotTaken = snapshotNeeded;
    // Undamaged files may still make a database with another checksum than the last file states.
    if ((await proveNewest(replica.client, { signal }))?.fault !== undefined) {
      await stored.snapshot({ signal });
      isSnapshotTaken = true;
    }
    const repairs = isSnapshotTaken ? [...proof.repairs, 'snapshot' as const] : proof.repairs;
    return { ...proof, repairs, faults: faults.map(({ message }) => message) };
  }

  report(): ReplicaReport {
    const { position, lastSyncAt, lastError } = this.replica.status();
    const db = this.#db.status();
    const hasAll = lastError === undefined && position.txid > 0n && position.txid === db.position.txid;
    return {
      type: this.open.client.type,
      text: this.open.text,
      txid: position.txid,
      lastSyncAt: db.lastLookAt === undefined ? undefined : latestIf(hasAll, lastSyncAt, db.lastLookAt),
      lastError,
      counts: this.stored.counts,
      lease: this.holder?.status,
    };
  }
}

/**
 * If the replica has every transaction, a look at the database that finds nothing new proves it up to date again. Before
 * the first look it is unknown what was committed while this process did not run.
 */
function latestIf(hasAll: boolean, lastSyncAt: Date | undefined, lastLookAt: Date): Date | undefined {
  return hasAll && (lastSyncAt === undefined || lastLookAt > lastSyncAt) ? lastLookAt : lastSyncAt;
}
