/** One replica of a database that is being replicated: its client, its uploads and its place in the store. */
import { basename } from 'node:path';
import { Replica, StoredReplica } from '@litestream/core';
import type { DB, StopOptions } from '@litestream/core';
import type { OpenReplica } from '../replicas.ts';
import { showUploads } from '../terminal/metered-uploads.ts';
import { localFilesOf } from './local-files.ts';
import type { ReplicaReport } from './report.ts';
import type { Services } from './services.ts';
import { levelsOf } from './store.ts';

export class RunningReplica {
  readonly open: OpenReplica;
  readonly replica: Replica;
  readonly stored: StoredReplica;
  readonly #services: Services;
  readonly #db: DB;
  #care: 'none yet' | 'given' | 'over' = 'none yet';

  constructor(open: OpenReplica, db: DB, services: Services) {
    const { config } = services;
    const logger = services.logger.child({ system: 'store', db: basename(db.path) });
    const client = showUploads(open.client, { terminal: services.terminal, logger });
    this.open = open;
    this.#db = db;
    this.#services = services;
    this.replica = new Replica(client, db, { logger, syncIntervalMs: open.config.syncIntervalMs });
    this.stored = new StoredReplica(this.replica, {
      levels: levelsOf(config),
      snapshotIntervalMs: config.snapshot.intervalMs,
      snapshotRetentionMs: config.snapshot.retentionMs,
      level0RetentionMs: config.l0RetentionMs,
      retentionEnabled: config.retentionEnabled,
      verifyCompaction: config.verifyCompaction,
      local: localFilesOf(db),
      logger,
    });
  }

  /** Uploads from now on. The store takes care of it once it has answered: before that there is nothing to look after. */
  start(): void {
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
    // What the last sync uploads is left to the next process.
    this.#care = 'over';
    if (given) await this.#services.stores?.remove(this.open.config, this.stored);
    await this.replica.stop(options);
  }

  report(): ReplicaReport {
    const { position, lastSyncAt, lastError } = this.replica.status();
    const db = this.#db.status();
    const hasAll = lastError === undefined && position.txid > 0n && position.txid === db.position.txid;
    return {
      type: this.open.client.type,
      text: this.open.text,
      txid: position.txid,
      // What the database last looked at without finding anything new is on this replica as well.
      lastSyncAt: hasAll ? latest(lastSyncAt, db.lastLookAt) : lastSyncAt,
      lastError,
    };
  }
}

function latest(a: Date | undefined, b: Date | undefined): Date | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a > b ? a : b;
}
