/** One replica of a running database, as the command shows and verifies it. */
import { proveNewest, verifyLive } from '@litestream/core';
import type { DB, LiveProof, Op, Replica, StoredReplica, VerifyLiveOptions } from '@litestream/core';
import type { ReplicaLink } from '@litestream/core/composition';
import type { OpenReplica } from '../databases/replicas.ts';
import type { ReplicaReport } from './services/report.ts';

/** Proof that the replica states the checksum of the live database. */
export interface ReplicaVerification extends LiveProof {
  /** Faults in files that only restores to earlier states need. */
  readonly faults: readonly string[];
}

export class RunningReplica {
  readonly open: OpenReplica;
  readonly replica: Replica;
  readonly stored: StoredReplica;
  readonly #link: ReplicaLink;
  readonly #db: DB;

  constructor(open: OpenReplica, link: ReplicaLink, db: DB) {
    if (link.stored === undefined) throw new Error('a replica of the command is always maintained');
    this.open = open;
    this.replica = link.replica;
    this.stored = link.stored;
    this.#link = link;
    this.#db = db;
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
      lease: this.#link.holder?.status,
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
