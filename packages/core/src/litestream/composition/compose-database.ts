import { DB } from '../../db/db.ts';
import { LocalLevel0 } from '../../retention/local-level0.ts';
import { DEFAULTS } from '../../util/defaults.ts';
import { DatabaseReplication } from '../replication/database-replication.ts';
import type { ReplicaLink } from '../replication/replica-link.ts';
import { composeReplica } from './compose-replica.ts';
import type { Container } from './container.ts';
import type { DatabaseSettings, ReplicaSettings } from './settings.ts';
import { parts } from './tokens.ts';
import type { Composition } from './tokens.ts';

/**
 * Makes a database and its replicas, each in its own container. Opens nothing. Needs at least one replica.
 */
export function composeDatabase(
  root: Container,
  { database: settings, replicas }: { database: DatabaseSettings; replicas: readonly ReplicaSettings[] },
  composition: Composition = {},
): DatabaseReplication {
  const container = root.child();
  const { path, localTxid, restore, required, onStart } = settings;
  container.registerValue(parts.databaseSettings, settings);
  container.register(parts.dbLogger, () => container.resolve(parts.logger));
  container.register(parts.databaseLogger, () => container.resolve(parts.logger));
  container.register(
    parts.db,
    () =>
      new DB(path, {
        ...settings.options,
        driver: container.resolve(parts.sqliteDriver),
        clock: container.resolve(parts.clock),
        logger: container.resolve(parts.dbLogger),
      }),
  );
  container.register(parts.level0, () => new LocalLevel0(container.resolve(parts.db).localLtx(0)));
  composition.database?.(container);
  const db = container.resolve(parts.db);
  const links = replicas.map((replica): ReplicaLink => {
    const onError = (error: unknown): void => {
      replica.onError?.(error);
      replication.uploadFailed(link, error);
    };
    const link = composeReplica(container, { ...replica, onError }, composition);
    return link;
  });
  const maintenance = container.resolve(parts.maintenance);
  const replication = new DatabaseReplication({
    db,
    replicas: links,
    breaker: container.resolve(parts.breaker),
    required,
    localTxid: localTxid ?? (() => db.localLtx(0).last()?.maxTxid ?? 0n),
    restore,
    backlog: {
      intervalMs: maintenance?.level0CheckIntervalMs ?? DEFAULTS.level0CheckIntervalMs,
      retentionMs: maintenance?.level0RetentionMs ?? DEFAULTS.level0RetentionMs,
    },
    clock: container.resolve(parts.clock),
    logger: container.resolve(parts.databaseLogger),
    onStart,
  });
  return replication;
}
