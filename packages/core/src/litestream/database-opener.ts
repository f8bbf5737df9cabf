/** Opens a database and its replicas, and starts to replicate it. */
import { existsSync } from 'node:fs';
import { realDatabasePath } from '../files/real-path.ts';
import { restore } from '../restore/restore.ts';
import type { Op } from '../storage/contract/contract.ts';
import type { Emitter } from '../util/emitter.ts';
import { hasCode } from '../util/error.ts';
import type { Logger } from '../util/logger.ts';
import type { OpenClient, ReplicaTarget } from './composition/client-factory.ts';
import { composeDatabase } from './composition/compose-database.ts';
import type { Container } from './composition/container.ts';
import type { ReplicaSettings } from './composition/settings.ts';
import { parts } from './composition/tokens.ts';
import type { Composition } from './composition/tokens.ts';
import type { LitestreamEvents, ReplicateOptions } from './litestream-options.ts';
import { ReplicatedDatabase } from './replicated-database.ts';
import type { DatabaseReplication } from './replication/database-replication.ts';
import { farthestFirst } from './replication/farthest-first.ts';

export interface DatabaseOpenerParts {
  readonly root: Container;
  readonly composition: Composition | undefined;
  readonly events: Emitter<LitestreamEvents>;
}

export class DatabaseOpener {
  readonly #parts: DatabaseOpenerParts;
  readonly #logger: Logger;

  constructor(openerParts: DatabaseOpenerParts) {
    this.#parts = openerParts;
    this.#logger = openerParts.root.resolve(parts.logger);
  }

  /** `onReleased` is called once the database is closed. */
  async open(
    path: string,
    targets: readonly ReplicaTarget[],
    options: ReplicateOptions,
    onReleased: () => void,
  ): Promise<ReplicatedDatabase> {
    const { signal } = options;
    const clients = await this.#openClients(targets, path, options);
    const release = async (): Promise<void> => {
      for (const client of clients) await client.release();
    };
    let replication: DatabaseReplication | undefined;
    try {
      replication = this.#compose(path, clients, options);
      await this.#init(clients, path, { signal });
      if (options.restoreIfMissing === true && !replication.leases.isAny && !existsSync(path))
        await this.#restoreMissing(clients, path, { signal });
      await replication.open({ retries: false, signal });
    } catch (error) {
      await replication?.close();
      await release();
      throw error;
    }
    this.#start(replication);
    return new ReplicatedDatabase(replication, async () => {
      onReleased();
      await release();
    });
  }

  async #openClients(
    targets: readonly ReplicaTarget[],
    databasePath: string,
    { stagingPath }: ReplicateOptions,
  ): Promise<readonly OpenClient[]> {
    const factory = this.#parts.root.resolve(parts.clientFactory);
    const clients: OpenClient[] = [];
    try {
      for (const target of targets) clients.push(await factory.open(target, { databasePath, stagingPath }));
    } catch (error) {
      for (const client of clients) await client.release();
      throw error;
    }
    return clients;
  }

  #compose(path: string, clients: readonly OpenClient[], options: ReplicateOptions): DatabaseReplication {
    const { signal: _, lease, restoreIfMissing = false, ...dbOptions } = options;
    const { root, composition } = this.#parts;
    const leaseOptions = lease === true ? {} : lease === false ? undefined : lease;
    const replicas = clients.map(({ client, name, backend }) => ({
      client,
      name,
      backend,
      syncIntervalMs: options.syncIntervalMs,
      lease: leaseOptions,
      ...this.#listeners(path, name),
    }));
    const database = {
      path,
      options: dbOptions,
      // With several, a replica that is down must not delay the others.
      required: clients.length === 1 ? 'all' : 'one',
      restore: restoreIfMissing ? (op: Op) => this.#restoreMissing(clients, path, op) : undefined,
    } as const;
    return composeDatabase(root, { database, replicas }, composition);
  }

  #listeners(path: string, replica: string): Partial<ReplicaSettings> {
    const { events } = this.#parts;
    return {
      onUpload: ({ txid }) => events.emit('upload', { path, replica, txid }),
      onSnapshot: (file) => events.emit('snapshot', { path, replica, txid: file.maxTxid, file }),
      onCompaction: (file) => events.emit('compaction', { path, replica, file }),
      onDrill: (result) => events.emit('drill', { path, replica, ...result }),
      onLease: (status) => events.emit('lease', { path, replica, ...status }),
      onError: (error) => events.emit('error', { path, replica, error }),
    };
  }

  /** Connects to the replicas. With several, one that answers is enough, and the wait for each is limited. */
  async #init(clients: readonly OpenClient[], path: string, op: Op): Promise<void> {
    const [only] = clients;
    if (only !== undefined && clients.length === 1) return await only.client.init(op);
    const breaker = this.#parts.root.resolve(parts.breaker);
    const asked = await Promise.allSettled(
      clients.map(({ client }) => breaker.ask(undefined, (signal) => client.init({ signal }), op)),
    );
    op.signal?.throwIfAborted();
    const failures = asked.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    if (failures.length === clients.length) throw failures[0];
    for (const [index, each] of asked.entries()) {
      if (each.status === 'rejected')
        this.#parts.events.emit('error', { path, replica: clients[index]?.name, error: each.reason });
    }
  }

  #start(replication: DatabaseReplication): void {
    const { events } = this.#parts;
    const { db } = replication;
    const { path } = db;
    db.onCheckpoint((checkpoint) => events.emit('checkpoint', { path, ...checkpoint }));
    db.onProof((proof) => events.emit('proven', { path, ...proof }));
    db.onChange(({ txid }) => events.emit('sync', { path, txid }));
    replication.start();
  }

  /** A replica without a backup is not an error: it is the first start. */
  async #restoreMissing(clients: readonly OpenClient[], path: string, op: Op): Promise<void> {
    const hint =
      'Check the connection to this replica, and try again: it may hold the newest state. Leave it out only if you accept the loss of commits that no other replica has.';
    for (const { client } of await farthestFirst(clients, { ...op, hint })) {
      try {
        await restore(client, { output: realDatabasePath(path), logger: this.#logger, ...op });
        return;
      } catch (error) {
        if (!hasCode(error, 'REPLICA_EMPTY')) throw error;
      }
    }
  }
}
