/** Opens a database and its replica, and starts to replicate it. */
import { existsSync } from 'node:fs';
import type { TXID } from '@litestream/ltx';
import type { Op, ReplicaClient } from '../storage/contract/contract.ts';
import { DB } from '../db/db.ts';
import { realDatabasePath } from '../files/real-path.ts';
import type { StagingPlace } from '../files/staging.ts';
import { hasCode } from '../util/error.ts';
import { fencedClient } from '../lease/fenced-client.ts';
import { LeaseHolder } from '../lease/holder.ts';
import type { LeaseOptions } from '../lease/holder-options.ts';
import type { LeaseStatus } from '../lease/status.ts';
import { takeOver } from '../lease/take-over.ts';
import type { Emitter } from '../util/emitter.ts';
import type { Logger } from '../util/logger.ts';
import { Replica } from '../replica/replica.ts';
import { restore } from '../restore/restore.ts';
import type { LocalFiles } from '../compaction/compactor.ts';
import { LocalLevel0, releaseOnUpload } from '../retention/local-level0.ts';
import type { Store } from '../maintenance/store.ts';
import { DEFAULT_LEVELS } from '../compaction/compaction-levels.ts';
import { StoredReplica } from '../maintenance/stored-replica.ts';
import type { LitestreamEvents, LitestreamOptions, ReplicaTarget, ReplicateOptions } from './litestream-options.ts';
import type { ReplicaClients } from './replica-clients.ts';
import { ReplicatedDatabase } from './replicated-database.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const LEVEL0_RETENTION_MS = 5 * 60 * 1000;

export interface DatabaseOpenerParts {
  readonly options: Pick<LitestreamOptions, 'driver' | 'store'>;
  readonly logger: Logger;
  readonly clients: ReplicaClients;
  readonly events: Emitter<LitestreamEvents>;
  /** Undefined: another process compacts the replicas. */
  readonly store: Store | undefined;
}

export class DatabaseOpener {
  readonly #parts: DatabaseOpenerParts;

  constructor(parts: DatabaseOpenerParts) {
    this.#parts = parts;
  }

  /** `onReleased` is called once the database is closed. */
  async open(
    path: string,
    target: ReplicaTarget,
    options: ReplicateOptions,
    onReleased: () => void,
  ): Promise<ReplicatedDatabase> {
    const { signal, lease, restoreIfMissing = false, ...dbOptions } = options;
    const { stagingPath } = options;
    const { clients, events, logger } = this.#parts;
    const { client: bare, release } = await clients.open(target, { databasePath: path, stagingPath });
    const db = new DB(path, { ...dbOptions, driver: this.#parts.options.driver, logger });
    const onError = (error: unknown): void => events.emit('error', { path, error });
    const holder = lease === undefined || lease === false ? undefined : this.#holder(bare, lease, path);
    const client = holder === undefined ? bare : fencedClient(bare, holder);
    const replica = new Replica(client, db, {
      syncIntervalMs: options.syncIntervalMs,
      logger,
      fence: holder,
      onError,
      onSnapshot: (file) => events.emit('snapshot', { path, txid: file.maxTxid, file }),
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
    const leaveStore = this.#start(db, replica, stagingPath);
    return new ReplicatedDatabase({
      db,
      replica,
      holder,
      leaveStore,
      release: async () => {
        onReleased();
        await release();
      },
    });
  }

  /** Starts to sync, upload and compact. Returns what ends compaction and retention. */
  #start(db: DB, replica: Replica, stagingPath: string | undefined): () => Promise<void> {
    const { events, store } = this.#parts;
    const { path } = db;
    const local = new LocalLevel0(db.localLtx(0)).forReplica();
    const stored = this.#stored(replica, local, path, { metaPath: db.metaPath, stagingPath });
    if (stored === undefined) replica.onUpload(releaseOnUpload(local, LEVEL0_RETENTION_MS));
    db.onCheckpoint((checkpoint) => events.emit('checkpoint', { path, ...checkpoint }));
    db.onProof((proof) => events.emit('proven', { path, ...proof }));
    db.onChange(({ txid }) => events.emit('sync', { path, txid }));
    let isCaredFor = false;
    replica.onUpload(({ txid }) => {
      events.emit('upload', { path, txid });
      if (stored === undefined) return;
      // Not before the two have been compared: there is nothing to look after in the timeline of another database.
      if (!isCaredFor) store?.add(stored);
      isCaredFor = true;
      stored.uploaded();
    });
    db.start();
    replica.start();
    return async () => {
      // The next process uploads the rest.
      isCaredFor = true;
      if (stored !== undefined) await store?.remove(stored);
    };
  }

  #holder(client: ReplicaClient, lease: true | LeaseOptions, path: string): LeaseHolder {
    const logger = this.#parts.logger;
    const onChange = (status: LeaseStatus): void => this.#parts.events.emit('lease', { path, ...status });
    return new LeaseHolder(client, { ...(lease === true ? {} : lease), logger, onChange });
  }

  /** A replica without a backup is not an error: it is the first start. */
  async #restoreMissing(client: ReplicaClient, path: string, { signal }: Op): Promise<boolean> {
    try {
      await restore(client, { output: realDatabasePath(path), logger: this.#parts.logger, signal });
      return true;
    } catch (error) {
      if (!hasCode(error, 'REPLICA_EMPTY')) throw error;
      return false;
    }
  }

  #stored(replica: Replica, local: LocalFiles, path: string, place: StagingPlace): StoredReplica | undefined {
    const { store } = this.#parts.options;
    if (store === false) return undefined;
    return new StoredReplica(replica, {
      levels: store?.levels ?? DEFAULT_LEVELS,
      snapshotIntervalMs: store?.snapshotIntervalMs ?? DAY_MS,
      snapshotRetentionMs: store?.snapshotRetentionMs ?? DAY_MS,
      level0RetentionMs: store?.level0RetentionMs ?? LEVEL0_RETENTION_MS,
      retentionEnabled: store?.retentionEnabled ?? true,
      verifyCompaction: store?.verifyCompaction ?? false,
      local,
      logger: this.#parts.logger,
      path,
      onCompaction: (file) => this.#parts.events.emit('compaction', { path, file }),
      drills: { place, onDrill: (result) => this.#parts.events.emit('drill', { path, ...result }) },
    });
  }
}
