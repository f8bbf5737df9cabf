/** Makes the parts of a process and of its databases from the config, with core's composition root. */
import { composeDatabase, composeRoot, backendOf, backendStores, parts } from '@litestream/core/composition';
import type { Composition, Container, DatabaseReplication, ReplicaSettings } from '@litestream/core/composition';
import type { Logger, PluginRegistry } from '@litestream/core';
import type { Config } from '../config/types.ts';
import type { SingleDatabase } from '../databases/directory.ts';
import type { OpenReplica } from '../databases/replicas.ts';
import { restoreIfMissing } from '../databases/restore-missing.ts';
import { showUploads } from '../terminal/metered-uploads.ts';
import { defaultMetaPath, localTxid } from '../util/local-state.ts';
import { dbOptionsOf } from './db-options.ts';
import { RunningReplica } from './running-replica.ts';
import { maintenanceOf } from './services/maintenance.ts';
import type { Services } from './services/services.ts';

export interface ProcessParts {
  readonly config: Config;
  readonly registry: PluginRegistry;
  readonly logger: Logger;
  /** `-once`: nothing runs in the background. */
  readonly once: boolean;
}

/** The parts that all databases of the process share. */
export function composeProcess({ config, registry, logger, once }: ProcessParts): Container {
  return composeRoot({
    root: (container) => {
      container.registerValue(parts.logger, logger.child({ system: 'store' }));
      container.registerValue(parts.pluginRegistry, registry);
      container.registerValue(parts.maintenance, maintenanceOf(config));
      if (!once) container.register(parts.stores, () => backendStores(container, {}));
    },
  });
}

export interface ComposedDatabase {
  readonly replication: DatabaseReplication;
  readonly replicas: readonly RunningReplica[];
}

export function composeFromConfig(
  database: SingleDatabase,
  open: readonly OpenReplica[],
  { services, logger, onStart }: { readonly services: Services; readonly logger: Logger; readonly onStart: () => void },
): ComposedDatabase {
  const { path } = database;
  const { root, registry, terminal, once } = services;
  const composition: Composition = {
    database: (container) => container.registerValue(parts.databaseLogger, logger),
    replica: (container) =>
      container.register(parts.client, () => showUploads(container.resolve(parts.fencedClient), { terminal, logger })),
  };
  const replication = composeDatabase(
    root,
    {
      database: {
        path,
        options: dbOptionsOf(database, { terminal, logger }),
        // A replica that does not answer must not delay local files or the other replicas.
        required: once ? 'all' : 'none',
        localTxid: () => localTxid(database.metaPath ?? defaultMetaPath(path)),
        restore: database.restoreIfDbNotExists
          ? ({ signal }) => restoreIfMissing(database, { registry, terminal, logger, signal })
          : undefined,
        onStart,
      },
      replicas: open.map((replica) => replicaSettings(replica, services)),
    },
    composition,
  );
  const { db } = replication;
  const links = replication.replicas;
  const replicas = open.flatMap((each, index) => {
    const link = links[index];
    return link === undefined ? [] : [new RunningReplica(each, link, db)];
  });
  return { replication, replicas };
}

function replicaSettings({ config, client, text }: OpenReplica, { onLeaseLost }: Services): ReplicaSettings {
  const { syncIntervalMs, autoRecover, lease } = config;
  const backend = backendOf(config);
  return {
    client,
    name: text,
    backend,
    // Each folder fails alone.
    circuit: config.type === 'file' ? undefined : backend,
    syncIntervalMs,
    autoRecover,
    lease,
    onLease: ({ state, error }) => {
      if (state === 'lost') onLeaseLost(error);
    },
  };
}
