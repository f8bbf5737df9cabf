/** For programs that make the parts of replication themselves, as the command does. Most programs need only `Litestream`. */
export { composeDatabase } from './compose-database.ts';
export { composeRoot } from './compose-root.ts';
export { Container } from './container.ts';
export type { Token } from './container.ts';
export { backendStores, maintenanceSettings } from './maintenance-settings.ts';
export type { DatabaseSettings, MaintenanceSettings, ReplicaSettings } from './settings.ts';
export { parts } from './tokens.ts';
export type { Composition, DatabaseParts, ReplicaParts, RootParts } from './tokens.ts';
export { backendOf } from '../replication/backend.ts';
export type { DatabaseReplication } from '../replication/database-replication.ts';
export { farthestFirst } from '../replication/farthest-first.ts';
export type { ReplicaLink } from '../replication/replica-link.ts';
