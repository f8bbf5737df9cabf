import type { LocalFiles } from '../../compaction/compactor.ts';
import { fencedClient } from '../../lease/fenced-client.ts';
import { LeaseHolder } from '../../lease/holder.ts';
import { StoredReplica } from '../../maintenance/stored-replica.ts';
import type { ReplicaUnderStore } from '../../maintenance/stored-replica-options.ts';
import type { ReplicaDb } from '../../replica/position/replica-db.ts';
import { Replica } from '../../replica/replica.ts';
import { DEFAULTS } from '../../util/defaults.ts';
import { ReplicaLink } from '../replication/replica-link.ts';
import type { Container } from './container.ts';
import type { ReplicaSettings } from './settings.ts';
import { parts } from './tokens.ts';
import type { Composition } from './tokens.ts';

/** Makes one replica of a database; `database` is the container of the database. */
export function composeReplica(
  database: Container,
  settings: ReplicaSettings,
  { replica: compose }: Composition,
): ReplicaLink {
  const container = database.child();
  const { lease, onLease } = settings;
  container.registerValue(parts.replicaSettings, settings);
  container.registerValue(parts.guardedClient, settings.client);
  container.register(parts.leaseHolder, () => {
    if (lease === undefined) return undefined;
    const clock = container.resolve(parts.clock);
    const logger = container.resolve(parts.databaseLogger);
    return new LeaseHolder(container.resolve(parts.guardedClient), { ...lease, clock, logger, onChange: onLease });
  });
  container.register(parts.fencedClient, () => {
    const client = container.resolve(parts.guardedClient);
    const holder = container.resolve(parts.leaseHolder);
    return holder === undefined ? client : fencedClient(client, holder);
  });
  container.register(parts.client, () => container.resolve(parts.fencedClient));
  container.register(parts.replica, () => makeReplica(container));
  const local = container.resolve(parts.level0).forReplica();
  container.register(parts.storedReplica, () => makeStoredReplica(container, local));
  compose?.(container);
  const { name, backend, circuit, onUpload = () => undefined } = settings;
  return new ReplicaLink({
    name,
    backend,
    circuit,
    client: container.resolve(parts.guardedClient),
    db: container.resolve(parts.db),
    replica: container.resolve(parts.replica),
    holder: container.resolve(parts.leaseHolder),
    leaseTtlMs: lease?.ttlMs,
    stored: container.resolve(parts.storedReplica),
    stores: container.resolve(parts.stores),
    local,
    level0RetentionMs: container.resolve(parts.maintenance)?.level0RetentionMs ?? DEFAULTS.level0RetentionMs,
    logger: container.resolve(parts.databaseLogger),
    onUpload,
  });
}

function makeReplica(container: Container): Replica {
  const { syncIntervalMs, autoRecover, onError, onSnapshot } = container.resolve(parts.replicaSettings);
  // Required: otherwise an optional method that `DB` lacks, or gives another name, would be lost silently.
  const db: Required<ReplicaDb> = container.resolve(parts.db);
  return new Replica(container.resolve(parts.client), db, {
    syncIntervalMs,
    autoRecover,
    clock: container.resolve(parts.clock),
    logger: container.resolve(parts.databaseLogger),
    fence: container.resolve(parts.leaseHolder),
    onError,
    onSnapshot,
  });
}

function makeStoredReplica(container: Container, local: LocalFiles): StoredReplica | undefined {
  const maintenance = container.resolve(parts.maintenance);
  if (maintenance === undefined) return undefined;
  const { path, options } = container.resolve(parts.databaseSettings);
  const { onCompaction, onDrill } = container.resolve(parts.replicaSettings);
  const { metaPath } = container.resolve(parts.db);
  // Required, as above.
  const replica: Required<ReplicaUnderStore> = container.resolve(parts.replica);
  return new StoredReplica(replica, {
    ...maintenance,
    local,
    clock: container.resolve(parts.clock),
    logger: container.resolve(parts.databaseLogger),
    path,
    onCompaction,
    drills: { place: { metaPath, stagingPath: options.stagingPath }, onDrill },
  });
}
