import type { Logger, OperationEvent, PluginRegistry } from '@litestream/core';
import type { Config } from '../../config/types.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import type { Patience } from './open-patience.ts';
import type { Stores } from './backend-stores.ts';

/** What the databases of a process share. */
export interface Services {
  readonly config: Config;
  readonly registry: PluginRegistry;
  /** Compact, take snapshots and delete what has expired; undefined with `-once`. */
  readonly stores: Stores | undefined;
  /** With replicas that do not answer when a database is opened; none with `-once`: then all have to. */
  readonly patience: Patience | undefined;
  readonly logger: Logger;
  /** Told of each call of a backend; undefined where nobody counts them. */
  readonly onOperation: ((event: OperationEvent) => void) | undefined;
  readonly terminal: Terminal;
  /** Another process has the lease of a replica: the database is no longer replicated there. */
  readonly onLeaseLost: (error: unknown) => void;
}
