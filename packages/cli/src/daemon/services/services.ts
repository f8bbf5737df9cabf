import type { Logger, OperationEvent, PluginRegistry } from '@litestream/core';
import type { Container } from '@litestream/core/composition';
import type { Terminal } from '../../terminal/terminal.ts';

/** Services that all databases of a process share. */
export interface Services {
  /** The parts of core that they share. */
  readonly root: Container;
  readonly registry: PluginRegistry;
  readonly logger: Logger;
  /** `-once`: all replicas have to answer when a database opens. */
  readonly once: boolean;
  /** Called after each call of a backend; undefined without metrics. */
  readonly onOperation: ((event: OperationEvent) => void) | undefined;
  readonly terminal: Terminal;
  /** Called when another process has taken the lease of a replica: the database is no longer replicated there. */
  readonly onLeaseLost: (error: unknown) => void;
}
