/**
 * The parts of Litestream. To replace a part, a program or a test registers another one under the same token, in the root, database or
 * replica container that the part belongs to; see `Composition`.
 */
import type { DB } from '../../db/db.ts';
import type { LeaseHolder } from '../../lease/holder.ts';
import type { StoredReplica } from '../../maintenance/stored-replica.ts';
import type { PluginRegistry } from '../../plugins/registry.ts';
import type { Replica } from '../../replica/replica.ts';
import type { LocalLevel0 } from '../../retention/local-level0.ts';
import type { SqliteDriver } from '../../sqlite/driver/sqlite-driver.ts';
import type { ReplicaClient } from '../../storage/contract/contract.ts';
import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/logger.ts';
import type { BackendStores } from '../replication/backend-stores.ts';
import type { CircuitBreaker } from '../replication/circuit-breaker.ts';
import type { ClientFactory } from './client-factory.ts';
import { token } from './container.ts';
import type { Container, Token } from './container.ts';
import type { DatabaseSettings, MaintenanceSettings, ReplicaSettings } from './settings.ts';

/** Parts that all databases of a `Litestream` share, or all databases of a process of the command. */
export interface RootParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly sqliteDriver: SqliteDriver;
  readonly pluginRegistry: PluginRegistry;
  /** Makes the clients of replicas. */
  readonly clientFactory: ClientFactory;
  /** Settings of the maintenance of replicas. Undefined: another process compacts them. */
  readonly maintenance: MaintenanceSettings | undefined;
  /** Schedule the maintenance. Undefined: no maintenance is scheduled. */
  readonly stores: BackendStores | undefined;
  /** Bounds how long a database waits for its replicas when it opens. */
  readonly breaker: CircuitBreaker;
}

/** Parts of one database. */
export interface DatabaseParts {
  readonly databaseSettings: DatabaseSettings;
  /** For the log lines of `DB`, which adds the name of the database. Default: `logger`. */
  readonly dbLogger: Logger;
  /** For all other log lines about the database and its replicas. Default: `logger`. */
  readonly databaseLogger: Logger;
  readonly db: DB;
  /** The local files, which the replicas share. */
  readonly level0: LocalLevel0;
}

/** Parts of one replica of a database. */
export interface ReplicaParts {
  readonly replicaSettings: ReplicaSettings;
  /** The client of the plugin or the program, inside core's guard. */
  readonly guardedClient: ReplicaClient;
  /** Undefined if the replica has no lease. */
  readonly leaseHolder: LeaseHolder | undefined;
  /** The same client, but it writes only while this process holds the lease. */
  readonly fencedClient: ReplicaClient;
  /** The client that the replica uses. Default: `fencedClient`. */
  readonly client: ReplicaClient;
  readonly replica: Replica;
  /** Undefined: another process compacts the replica. */
  readonly storedReplica: StoredReplica | undefined;
}

type Tokens<Parts> = { readonly [Name in keyof Parts]: Token<Parts[Name]> };

/** The token of each part. */
export const parts: Tokens<RootParts & DatabaseParts & ReplicaParts> = {
  clock: token('clock'),
  logger: token('logger'),
  sqliteDriver: token('sqliteDriver'),
  pluginRegistry: token('pluginRegistry'),
  clientFactory: token('clientFactory'),
  maintenance: token('maintenance'),
  stores: token('stores'),
  breaker: token('breaker'),
  databaseSettings: token('databaseSettings'),
  dbLogger: token('dbLogger'),
  databaseLogger: token('databaseLogger'),
  db: token('db'),
  level0: token('level0'),
  replicaSettings: token('replicaSettings'),
  guardedClient: token('guardedClient'),
  leaseHolder: token('leaseHolder'),
  fencedClient: token('fencedClient'),
  client: token('client'),
  replica: token('replica'),
  storedReplica: token('storedReplica'),
};

/**
 * Replaces parts of core. Core calls each function once for each container, after it has registered its own parts there and before it
 * makes any.
 */
export interface Composition {
  readonly root?: ((container: Container) => void) | undefined;
  /** `resolve(parts.databaseSettings)` names the database. */
  readonly database?: ((container: Container) => void) | undefined;
  /** `resolve(parts.replicaSettings)` names the replica. */
  readonly replica?: ((container: Container) => void) | undefined;
}
