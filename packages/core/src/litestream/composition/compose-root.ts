import { PluginRegistry } from '../../plugins/registry.ts';
import { nodeSqlite } from '../../sqlite/driver/node-sqlite.ts';
import { systemClock } from '../../util/clock.ts';
import { silentLogger } from '../../util/logger.ts';
import { CircuitBreaker } from '../replication/circuit-breaker.ts';
import { PluginClientFactory } from './client-factory.ts';
import { Container } from './container.ts';
import { parts } from './tokens.ts';
import type { Composition } from './tokens.ts';

/** Registers the parts that all databases share, then those of the composition. Makes none yet. */
export function composeRoot({ root }: Composition = {}): Container {
  const container = new Container();
  container.registerValue(parts.clock, systemClock);
  container.registerValue(parts.logger, silentLogger);
  container.registerValue(parts.sqliteDriver, nodeSqlite);
  container.register(parts.pluginRegistry, () => new PluginRegistry());
  container.register(
    parts.clientFactory,
    () => new PluginClientFactory(container.resolve(parts.pluginRegistry), container.resolve(parts.logger)),
  );
  container.registerValue(parts.maintenance, undefined);
  container.registerValue(parts.stores, undefined);
  container.register(parts.breaker, () => new CircuitBreaker(container.resolve(parts.clock)));
  root?.(container);
  return container;
}
