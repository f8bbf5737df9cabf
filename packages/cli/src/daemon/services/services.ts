import type { Logger, OperationEvent, PluginRegistry } from '@litestream/core';
import type { Config } from '../../config/types.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import type { CircuitBreaker } from './open-patience.ts';
import type { BackendStores } from './backend-stores.ts';

/** Services that all databases of a process share. */
export interface Services {
  readonly config: Config;
  readonly registry: PluginRegistry;
  /** Compact replicas, take snapshots and delete expired files; undefined with `-once`. */
  readonly stores: BackendStores | undefined;
  /** Skips backends that do not answer when a database opens. Undefined with `-once`: then all replicas have to answer. */
  readonly breaker: CircuitBreaker | undefined;
  readonly logger: Logger;
  /** Called after each call of a backend; undefined without metrics. */
  readonly onOperation: ((event: OperationEvent) => void) | undefined;
  readonly terminal: Terminal;
  /** Called when another process has taken the lease of a replica: the database is no longer replicated there. */
  readonly onLeaseLost: (error: unknown) => void;
}
