import type { Logger, OperationEvent, PluginRegistry } from '@litestream/core';
import type { Config } from '../../config/types.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import type { CircuitBreaker } from './open-patience.ts';
import type { BackendStores } from './backend-stores.ts';

/** What the databases of a process share. */
export interface Services {
  readonly config: Config;
  readonly registry: PluginRegistry;
  /** Compact, take snapshots and delete what has expired; undefined with `-once`. */
  readonly stores: BackendStores | undefined;
  /** Skips backends that do not answer when a database opens. Undefined with `-once`: then all replicas have to answer. */
  readonly breaker: CircuitBreaker | undefined;
  readonly logger: Logger;
  /** Told of each call of a backend; undefined where nobody counts them. */
  readonly onOperation: ((event: OperationEvent) => void) | undefined;
  readonly terminal: Terminal;
  /** Another process has the lease of a replica: the database is no longer replicated there. */
  readonly onLeaseLost: (error: unknown) => void;
}
