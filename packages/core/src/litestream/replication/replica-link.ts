import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LocalFiles } from '../../compaction/compactor.ts';
import type { DB } from '../../db/db.ts';
import type { Position } from '../../db/session/options.ts';
import type { LeaseHolder } from '../../lease/holder.ts';
import type { StoredReplica } from '../../maintenance/stored-replica.ts';
import type { Replica } from '../../replica/replica.ts';
import type { StopOptions } from '../../replica/replica-options.ts';
import { releaseOnUpload } from '../../retention/local-level0.ts';
import type { ReplicaClient } from '../../storage/contract/contract.ts';
import type { Logger } from '../../util/logger.ts';
import type { BackendStores } from './backend-stores.ts';

export interface ReplicaLinkParts {
  /** For messages, without credentials. */
  readonly name: string;
  /** See `backendOf`. */
  readonly backend: string;
  /** See `TimelinePart.circuit`. */
  readonly circuit: string | undefined;
  /** The client without the limits of the lease. */
  readonly client: ReplicaClient;
  readonly db: DB;
  readonly replica: Replica;
  /** Undefined if the replica has no lease. */
  readonly holder: LeaseHolder | undefined;
  readonly leaseTtlMs: number | undefined;
  /** Undefined: another process compacts the replica, and deletes its old files. */
  readonly stored: StoredReplica | undefined;
  /** Undefined: this process maintains the replica only on request. */
  readonly stores: BackendStores | undefined;
  /** The local files, as this replica needs them. */
  readonly local: LocalFiles;
  /** How long local files are kept if there is no `stored`, in milliseconds. */
  readonly level0RetentionMs: number;
  readonly logger: Logger;
  /** Called after each upload. Must not throw. */
  readonly onUpload: (position: Position) => void;
}

/** One replica of a running database: its client, its lease, its uploads and its maintenance by the store. */
export class ReplicaLink {
  readonly name: string;
  readonly backend: string;
  readonly circuit: string | undefined;
  readonly client: ReplicaClient;
  readonly replica: Replica;
  readonly stored: StoredReplica | undefined;
  readonly holder: LeaseHolder | undefined;
  readonly leaseTtlMs: number | undefined;
  readonly #parts: ReplicaLinkParts;
  #started = false;
  /** Position of the replica when files that it does not have were last released. */
  #forgoneAt: TXID | undefined;
  #care: 'none yet' | 'given' | 'over' = 'none yet';

  constructor(parts: ReplicaLinkParts) {
    this.name = parts.name;
    this.backend = parts.backend;
    this.circuit = parts.circuit;
    this.client = parts.client;
    this.replica = parts.replica;
    this.stored = parts.stored;
    this.holder = parts.holder;
    this.leaseTtlMs = parts.leaseTtlMs;
    this.#parts = parts;
    if (parts.holder !== undefined) parts.holder.acknowledged = () => parts.replica.position.txid;
  }

  /** Starts uploads. The store maintains the replica from its first upload on: before that, there is nothing to maintain. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    const { local, level0RetentionMs, onUpload, replica } = this.#parts;
    if (this.stored === undefined) replica.onUpload(releaseOnUpload(local, level0RetentionMs));
    replica.onUpload((position) => {
      onUpload(position);
      this.#maintain();
    });
    replica.start();
  }

  #maintain(): void {
    const { stored, stores } = this.#parts;
    if (stored === undefined) return;
    if (this.#care === 'none yet') {
      this.#care = 'given';
      stores?.add(this.backend, stored);
    }
    stored.uploaded();
  }

  async stop(options: StopOptions): Promise<void> {
    const { stored, stores, replica } = this.#parts;
    const given = this.#care === 'given';
    // The next process maintains what the last sync uploads.
    this.#care = 'over';
    // Compaction reads and deletes local files, which may belong to another process once the database is closed.
    if (given && stored !== undefined) await stores?.remove(this.backend, stored);
    await replica.stop(options);
  }

  /** Releases local files older than `before` that the replica does not have: a snapshot will replace them. */
  forgo(before: Date): void {
    const { db, local, logger, replica } = this.#parts;
    const { position } = replica;
    if (this.#forgoneAt !== position.txid) {
      this.#forgoneAt = position.txid;
      logger.warn('replica is too far behind, it gets a snapshot once it answers', {
        replica: this.name,
        'txid.replica': formatTxid(position.txid),
        'txid.db': formatTxid(db.position.txid),
      });
    }
    local.release?.({ txid: db.position.txid, before });
  }
}
