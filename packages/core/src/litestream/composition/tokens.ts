/**
 * The parts of Litestream. A program or a test replaces one by registering another under its token, in the container of the level
 * that it belongs to; see `Composition`.
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

/** Shared by all databases of a `Litestream`, or of a process of the command. */
export interface RootParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly sqliteDriver: SqliteDriver;
  readonly pluginRegistry: PluginRegistry;
  /** Makes the clients of replicas. */
  readonly clientFactory: ClientFactory;
  /** How replicas are maintained. Undefined: another process compacts them. */
  readonly maintenance: MaintenanceSettings | undefined;
  /** Schedule that maintenance. Undefined: nothing is scheduled. */
  readonly stores: BackendStores | undefined;
  /** Bounds how long a database waits for its replicas when it opens. */
  readonly breaker: CircuitBreaker;
}

/** Of one database. */
export interface DatabaseParts {
  readonly databaseSettings: DatabaseSettings;
  /** For the lines of `DB`, which adds the name of the database. Default: `logger`. */
  readonly dbLogger: Logger;
  /** For all other lines about the database and its replicas. Default: `logger`. */
  readonly databaseLogger: Logger;
  readonly db: DB;
  /** The local files, which the replicas share. */
  readonly level0: LocalLevel0;
}

/** Of one replica of a database. */
export interface ReplicaParts {
  readonly replicaSettings: ReplicaSettings;
  /** As the plugin or the program made it, inside core's guard. */
  readonly guardedClient: ReplicaClient;
  /** Undefined if the replica has no lease. */
  readonly leaseHolder: LeaseHolder | undefined;
  /** The same client, which writes only while the lease is held. */
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
 * Registers other parts than core's. Each function is called once for each container, after core has registered its own parts there
 * and before any is made.
 */
export interface Composition {
  readonly root?: ((container: Container) => void) | undefined;
  /** `resolve(parts.databaseSettings)` tells which database it is. */
  readonly database?: ((container: Container) => void) | undefined;
  /** `resolve(parts.replicaSettings)` tells which replica it is. */
  readonly replica?: ((container: Container) => void) | undefined;
}
